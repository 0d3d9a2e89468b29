/**
 * BLIP's text model (Li et al. 2022, Sec. 3.1): BERT without token types, each block with cross attention to a
 * image's tokens between self attention and feed-forward. The same network encodes (both ways) and decodes (causal).
 */
import { embedding, tf } from '../../../engine';
import { declareLayerNorm, namedLayerNorm } from '../../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
import { attend, declareAttention, declareFeedForward, feedForward, type KeysValues, keysValues } from '../bert/block';
import type { BlipTextConfig } from './config';

/** Declares every parameter of the text model. @param name upstream's name of it: `text_encoder`, `text_decoder.bert` */
export function declareBlipText(specs: Record<string, ParameterSpec>, name: string, config: BlipTextConfig): void {
  const { hidden_size: hidden, vocab_size, max_position_embeddings, encoder_hidden_size } = config;
  specs[`${name}.embeddings.word_embeddings.weight`] = { shape: [vocab_size, hidden], init: { normal: 0.02 } };
  specs[`${name}.embeddings.position_embeddings.weight`] = {
    shape: [max_position_embeddings, hidden],
    init: { normal: 0.02 },
  };
  declareLayerNorm(specs, `${name}.embeddings.LayerNorm`, hidden);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const block = `${name}.encoder.layer.${layer}`;
    declareAttention(specs, `${block}.attention`, 'self', config);
    declareAttention(specs, `${block}.crossattention`, 'self', config, encoder_hidden_size);
    declareFeedForward(specs, block, config);
  }
}

/** Every layer's keys and values of the images' tokens `[batch, tokens, width]`; computed once an image. */
export function imageKeys(p: Parameters, name: string, config: BlipTextConfig, tokens: tf.Tensor3D): KeysValues[] {
  return Array.from({ length: config.num_hidden_layers }, (_, layer) =>
    keysValues(p, `${name}.encoder.layer.${layer}.crossattention`, 'self', config, tokens),
  );
}

export interface BlipTextInput {
  /** `[batch, tokens]` int32. */
  readonly ids: tf.Tensor2D;
  /** Added to the self attention's scores, `[batch or 1, 1, tokens or 1, past + tokens]`; null: all see all. */
  readonly mask: tf.Tensor4D | null;
  /** What cross attention looks at, a layer each; without it there is none. */
  readonly image?: readonly KeysValues[];
  /** Keys and values of the tokens before these, a layer each. */
  readonly past?: readonly KeysValues[];
}

/** What the text model gives; the caller disposes both. */
export type BlipTextOutput = {
  /** `[batch, tokens, hidden]`. */
  readonly hidden: tf.Tensor3D;
  /** Keys and values of all tokens so far, a layer each. */
  readonly past: KeysValues[];
};

/** One pass over token rows. */
export function blipText(p: Parameters, name: string, config: BlipTextConfig, input: BlipTextInput): BlipTextOutput {
  return tf.tidy(() => {
    let h = embed(p, name, config, input.ids, input.past?.[0]?.keys.shape[2] ?? 0);
    const past: KeysValues[] = [];
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const next = block(p, `${name}.encoder.layer.${layer}`, config, h, input, layer);
      h.dispose();
      h = next.hidden;
      past.push(next.own);
    }
    return { hidden: h, past };
  });
}

function embed(p: Parameters, name: string, config: BlipTextConfig, ids: tf.Tensor2D, from: number): tf.Tensor3D {
  return tf.tidy(() => {
    const words = embedding(p.get(`${name}.embeddings.word_embeddings.weight`), ids);
    const table = p.get(`${name}.embeddings.position_embeddings.weight`) as tf.Tensor2D;
    const sum = tf.add(words, tf.slice(table, [from, 0], [ids.shape[1], -1]));
    return namedLayerNorm(p, `${name}.embeddings.LayerNorm`, sum, config.layer_norm_eps) as tf.Tensor3D;
  });
}

function block(
  p: Parameters,
  name: string,
  config: BlipTextConfig,
  x: tf.Tensor3D,
  { mask, image, past }: BlipTextInput,
  layer: number,
): { hidden: tf.Tensor3D; own: KeysValues } {
  return tf.tidy(() => {
    const fresh = keysValues(p, `${name}.attention`, 'self', config, x);
    const own = past ? joined(past[layer], fresh) : fresh;
    let h = attend(p, `${name}.attention`, 'self', config, x, own, mask);
    if (image) h = attend(p, `${name}.crossattention`, 'self', config, h, image[layer], null);
    return { hidden: feedForward(p, name, config, h), own };
  });
}

function joined(before: KeysValues, after: KeysValues): KeysValues {
  return {
    keys: tf.concat([before.keys, after.keys], 2),
    values: tf.concat([before.values, after.values], 2),
  };
}
