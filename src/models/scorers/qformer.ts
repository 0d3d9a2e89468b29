/**
 * BLIP-2's Q-Former (Li et al. 2023, Sec. 3.1): learned queries look at an image's tokens and, in the same self
 * attention, at a text's; queries and text have feed-forward parts of their own. Names are upstream's.
 */
import { tf } from '../../engine';
import { LayerNorm } from '../../nn/layers';
import { Module } from '../../nn/module';
import {
  Attention,
  type BlockConfig,
  feedForward,
  newAddNorm,
  newIntermediate,
  Projections,
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

class QFormerAttention extends Attention {
  readonly attention = new Projections(this.config);

  protected projections(): Projections {
    return this.attention;
  }
}

/** Layers 0, n, 2n, ... look at the image. */
class QFormerBlock extends Module<QFormerConfig & { readonly looksAtImage: boolean }> {
  readonly attention = new QFormerAttention(this.config);
  readonly crossattention = this.config.looksAtImage
    ? new QFormerAttention(this.config, this.config.encoder_hidden_size)
    : undefined;
  readonly intermediate = newIntermediate(this.config);
  readonly output = newAddNorm(this.config, this.config.intermediate_size);
  readonly intermediate_query = newIntermediate(this.config);
  readonly output_query = newAddNorm(this.config, this.config.intermediate_size);

  forward(x: tf.Tensor3D, { queries, image, mask }: QFormerInput): tf.Tensor3D {
    return tf.tidy(() => {
      const mixed = this.attention.attend(x, this.attention.keysValues(x), mask);
      const words = mixed.shape[1] - queries;
      const parts: tf.Tensor3D[] = [];
      if (queries > 0 && image) {
        const asked = tf.slice(mixed, [0, 0, 0], [-1, queries, -1]);
        const { crossattention: cross } = this;
        const seen = cross ? cross.attend(asked, cross.keysValues(image), null) : asked;
        parts.push(feedForward(this.config, this.intermediate_query, this.output_query, seen));
      }
      if (words > 0) {
        const text = tf.slice(mixed, [0, queries, 0], [-1, words, -1]);
        parts.push(feedForward(this.config, this.intermediate, this.output, text));
      }
      return parts.length > 1 ? tf.concat(parts, 1) : parts[0];
    });
  }
}

export class QFormer extends Module<QFormerConfig> {
  readonly layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);
  readonly encoder = {
    layer: Array.from({ length: this.config.num_hidden_layers }, (_, layer) => {
      const looksAtImage = layer % this.config.cross_attention_frequency === 0;
      return new QFormerBlock({ ...this.config, looksAtImage });
    }),
  };

  /** `[batch, queries + tokens, hidden]`; the caller disposes it. @throws RangeError for queries without an image */
  forward(input: QFormerInput): tf.Tensor3D {
    if (input.queries > 0 && !input.image) throw new RangeError('the queries of a Q-Former need an image to look at');
    return tf.tidy(() => {
      let h = this.layernorm.forward(input.embedded);
      for (const block of this.encoder.layer) {
        const next = block.forward(h, input);
        h.dispose();
        h = next;
      }
      return h;
    });
  }
}
