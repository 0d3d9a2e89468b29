/**
 * BLIP-2's Q-Former (Li et al. 2023, Sec. 3.1): learned queries look at an image's tokens and, in the same self
 * attention, at a text's; queries and text have feed-forward parts of their own. Names are upstream's.
 */
import { tf } from '../../engine';
import { declareLayerNorm, namedLayerNorm } from '../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../nn/parameters';
import {
  attend,
  type BlockConfig,
  declareAttention,
  declareFeedForward,
  feedForward,
  keysValues,
  readBlockConfig,
} from './bert/block';
import type { ConfigFields } from './bert/fields';

export interface QFormerConfig extends BlockConfig {
  readonly vocab_size: number;
  /** Longest text. */
  readonly max_position_embeddings: number;
  /** Width of the image's tokens. */
  readonly encoder_hidden_size: number;
  /** Layers 0, n, 2n, ... have cross attention. */
  readonly cross_attention_frequency: number;
}

/** The published Q-Former's. */
export const QFORMER_BASE: QFormerConfig = {
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  vocab_size: 30522,
  max_position_embeddings: 512,
  encoder_hidden_size: 1408,
  cross_attention_frequency: 2,
};

const FORMER = 'qformer';

/** The `qformer_config` of a configuration. @param imageWidth width of the vision tower; upstream takes that one */
export function readQFormerConfig(fields: ConfigFields, imageWidth: number): QFormerConfig {
  fields.only('position_embedding_type', 'absolute', 'positions are built');
  return {
    ...readBlockConfig(fields, QFORMER_BASE),
    vocab_size: fields.size('vocab_size', QFORMER_BASE.vocab_size),
    max_position_embeddings: fields.size('max_position_embeddings', QFORMER_BASE.max_position_embeddings),
    encoder_hidden_size: imageWidth,
    cross_attention_frequency: fields.size('cross_attention_frequency', QFORMER_BASE.cross_attention_frequency),
  };
}

/** Declares every parameter of the Q-Former; the text's embeddings and the queries stand outside it. */
export function declareQFormer(specs: Record<string, ParameterSpec>, config: QFormerConfig): void {
  declareLayerNorm(specs, `${FORMER}.layernorm`, config.hidden_size);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const block = `${FORMER}.encoder.layer.${layer}`;
    declareAttention(specs, `${block}.attention`, 'attention', config);
    if (layer % config.cross_attention_frequency === 0)
      declareAttention(specs, `${block}.crossattention`, 'attention', config, config.encoder_hidden_size);
    declareFeedForward(specs, block, config);
    declareFeedForward(specs, block, config, '_query');
  }
}

export interface QFormerInput {
  /** Queries, then embedded words, `[batch, queries + tokens, hidden]`. */
  readonly embedded: tf.Tensor3D;
  /** How many of them are queries; may be 0. */
  readonly queries: number;
  /** Image tokens `[batch, tokens, width]` that the queries look at; needed when there are queries. */
  readonly image?: tf.Tensor3D;
  /** Added to the self attention's scores, `[batch, 1, 1, queries + tokens]`; null: all is seen. */
  readonly mask: tf.Tensor4D | null;
}

/** `[batch, queries + tokens, hidden]`; the caller disposes it. @throws RangeError for queries without an image */
export function qformer(p: Parameters, config: QFormerConfig, input: QFormerInput): tf.Tensor3D {
  const { queries, image } = input;
  if (queries > 0 && !image) throw new RangeError('the queries of a Q-Former need an image to look at');
  return tf.tidy(() => {
    let h = namedLayerNorm(p, `${FORMER}.layernorm`, input.embedded, config.layer_norm_eps) as tf.Tensor3D;
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const next = block(p, config, layer, h, input);
      h.dispose();
      h = next;
    }
    return h;
  });
}

function block(
  p: Parameters,
  config: QFormerConfig,
  layer: number,
  x: tf.Tensor3D,
  { queries, image, mask }: QFormerInput,
): tf.Tensor3D {
  return tf.tidy(() => {
    const name = `${FORMER}.encoder.layer.${layer}`;
    const own = keysValues(p, `${name}.attention`, 'attention', config, x);
    const mixed = attend(p, `${name}.attention`, 'attention', config, x, own, mask);
    const words = mixed.shape[1] - queries;
    const parts: tf.Tensor3D[] = [];
    if (queries > 0 && image) {
      let h = tf.slice(mixed, [0, 0, 0], [-1, queries, -1]);
      if (layer % config.cross_attention_frequency === 0) {
        const seen = keysValues(p, `${name}.crossattention`, 'attention', config, image);
        h = attend(p, `${name}.crossattention`, 'attention', config, h, seen, null);
      }
      parts.push(feedForward(p, name, config, h, '_query'));
    }
    if (words > 0) parts.push(feedForward(p, name, config, tf.slice(mixed, [0, queries, 0], [-1, words, -1])));
    return parts.length > 1 ? tf.concat(parts, 1) : parts[0];
  });
}
