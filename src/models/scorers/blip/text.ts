/**
 * BLIP's text model (Li et al. 2022, Sec. 3.1): BERT without token types, each block with cross attention to an
 * image's tokens between self attention and feed-forward. The same network encodes (both ways) and decodes (causal).
 */
import { tf } from '../../../engine';
import { Embedding, LayerNorm } from '../../../nn/layers';
import { Module } from '../../../nn/module';
import { BertAttention, feedForward, type KeysValues, newAddNorm, newIntermediate } from '../bert/block';
import type { BlipTextConfig } from './config';

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

class BlipTextBlock extends Module<BlipTextConfig> {
  readonly attention = new BertAttention(this.config);
  readonly crossattention = new BertAttention(this.config, this.config.encoder_hidden_size);
  readonly intermediate = newIntermediate(this.config);
  readonly output = newAddNorm(this.config, this.config.intermediate_size);

  /** @returns the block's output, and keys and values of all tokens so far */
  forward(
    x: tf.Tensor3D,
    mask: tf.Tensor4D | null,
    image: KeysValues | undefined,
    past: KeysValues | undefined,
  ): { hidden: tf.Tensor3D; all: KeysValues } {
    return tf.tidy(() => {
      const own = this.attention.keysValues(x);
      const all = past ? joined(past, own) : own;
      const mixed = this.attention.attend(x, all, mask);
      const seen = image ? this.crossattention.attend(mixed, image, null) : mixed;
      return { hidden: feedForward(this.config, this.intermediate, this.output, seen), all };
    });
  }
}

export class BlipTextModel extends Module<BlipTextConfig> {
  readonly embeddings = {
    word_embeddings: new Embedding(this.config.vocab_size, this.config.hidden_size),
    position_embeddings: new Embedding(this.config.max_position_embeddings, this.config.hidden_size),
    LayerNorm: new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps),
  };
  readonly encoder = {
    layer: Array.from({ length: this.config.num_hidden_layers }, () => new BlipTextBlock(this.config)),
  };

  /** Every layer's keys and values of the images' tokens `[batch, tokens, width]`; computed once an image. */
  imageKeys(tokens: tf.Tensor3D): KeysValues[] {
    return this.encoder.layer.map(({ crossattention }) => crossattention.keysValues(tokens));
  }

  /** One pass over token rows. */
  forward({ ids, mask, image, past }: BlipTextInput): BlipTextOutput {
    return tf.tidy(() => {
      let hidden = this.embed(ids, past?.[0]?.keys.shape[2] ?? 0);
      const all = this.encoder.layer.map((block, layer) => {
        const next = block.forward(hidden, mask, image?.[layer], past?.[layer]);
        hidden.dispose();
        hidden = next.hidden;
        return next.all;
      });
      return { hidden, past: all };
    });
  }

  private embed(ids: tf.Tensor2D, from: number): tf.Tensor3D {
    const { word_embeddings, position_embeddings, LayerNorm: norm } = this.embeddings;
    return tf.tidy(() => {
      const places = tf.slice(position_embeddings.weight.value, [from, 0], [ids.shape[1], -1]);
      return norm.forward(tf.add<tf.Tensor3D>(word_embeddings.forward(ids), places));
    });
  }
}

function joined(before: KeysValues, after: KeysValues): KeysValues {
  return {
    keys: tf.concat([before.keys, after.keys], 2),
    values: tf.concat([before.values, after.values], 2),
  };
}
