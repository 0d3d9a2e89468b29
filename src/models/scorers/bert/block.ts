/**
 * The post-norm transformer block of BERT (Devlin et al. 2019), which BLIP's text model and BLIP-2's Q-Former keep and
 * extend by cross attention: each part is added to its input, then normed. Names are upstream's.
 */
import { attention, tf } from '../../../engine';
import { activation } from '../../../nn/activations';
import { LayerNorm, Linear } from '../../../nn/layers';
import { Module } from '../../../nn/module';
import type { ConfigFields } from './fields';

export interface BlockConfig {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  /** Must divide `hidden_size`. */
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly hidden_act: string;
  readonly layer_norm_eps: number;
}

/** Keys and values of an attention, `[batch, heads, tokens, headDim]` each. */
export type KeysValues = {
  readonly keys: tf.Tensor4D;
  readonly values: tf.Tensor4D;
};

/** The block's fields of a configuration. @param defaults upstream's, used where the file leaves a field out */
export function readBlockConfig(fields: ConfigFields, defaults: BlockConfig): BlockConfig {
  const config: BlockConfig = {
    hidden_size: fields.size('hidden_size', defaults.hidden_size),
    num_hidden_layers: fields.size('num_hidden_layers', defaults.num_hidden_layers),
    num_attention_heads: fields.size('num_attention_heads', defaults.num_attention_heads),
    intermediate_size: fields.size('intermediate_size', defaults.intermediate_size),
    hidden_act: fields.activation('hidden_act', defaults.hidden_act),
    layer_norm_eps: fields.number('layer_norm_eps', defaults.layer_norm_eps),
  };
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  if (hidden % heads) fields.fault(`hidden_size ${hidden} is not divisible by num_attention_heads ${heads}`);
  return config;
}

/** A linear map that is added to what came in, then normed. */
class AddNorm extends Module<{ readonly inputs: number; readonly hidden: number; readonly eps: number }> {
  readonly dense = new Linear(this.config.inputs, this.config.hidden);
  readonly LayerNorm = new LayerNorm(this.config.hidden, this.config.eps);

  forward(x: tf.Tensor3D, added: tf.Tensor3D): tf.Tensor3D {
    return this.LayerNorm.forward(tf.add<tf.Tensor3D>(x, this.dense.forward(added)));
  }
}

/** The three projections of an attention. */
export class Projections extends Module<BlockConfig & { readonly source: number }> {
  readonly query = new Linear(this.config.hidden_size, this.config.hidden_size);
  readonly key = new Linear(this.config.source, this.config.hidden_size);
  readonly value = new Linear(this.config.source, this.config.hidden_size);

  /** Keys and values of `source` `[batch, tokens, width]`. */
  keysValues(source: tf.Tensor3D): KeysValues {
    return tf.tidy(() => ({ keys: this.inHeads(this.key, source), values: this.inHeads(this.value, source) }));
  }

  /** attention(x, keys, values), `[batch, queries, hidden]`; see {@link Attention.attend}. */
  mix(x: tf.Tensor3D, { keys, values }: KeysValues, mask: tf.Tensor | null): tf.Tensor3D {
    const mixed = attention(this.inHeads(this.query, x), keys, values, mask);
    return tf.reshape<tf.Rank.R3>(tf.transpose(mixed, [0, 2, 1, 3]), x.shape);
  }

  private inHeads(layer: Linear, x: tf.Tensor3D): tf.Tensor4D {
    const { hidden_size: hidden, num_attention_heads: heads } = this.config;
    const [batch, tokens] = x.shape;
    const split = tf.reshape<tf.Rank.R4>(layer.forward(x), [batch, tokens, heads, hidden / heads]);
    return tf.transpose(split, [0, 2, 1, 3]);
  }
}

/** One attention and its norm. Upstreams differ in what they call the three projections' parent. */
export abstract class Attention extends Module<BlockConfig & { readonly source: number }> {
  protected abstract projections(): Projections;
  readonly output = newAddNorm(this.config, this.config.hidden_size);

  /** @param source width of what keys and values are made of; default the block's own */
  constructor(config: BlockConfig, source = config.hidden_size) {
    super({ ...config, source });
  }

  /** Keys and values of `source` `[batch, tokens, width]`. */
  keysValues(source: tf.Tensor3D): KeysValues {
    return this.projections().keysValues(source);
  }

  /**
   * norm(x + attention(x, keys, values)).
   * @param x `[batch, queries, hidden]`
   * @param mask added to the scores, `[batch or 1, 1, queries or 1, keys]`; null: all is seen
   */
  attend(x: tf.Tensor3D, keysValues: KeysValues, mask: tf.Tensor | null): tf.Tensor3D {
    return tf.tidy(() => this.output.forward(x, this.projections().mix(x, keysValues, mask)));
  }
}

/** BERT's and BLIP's, with the projections under `self`. */
export class BertAttention extends Attention {
  readonly self = new Projections(this.config);

  protected projections(): Projections {
    return this.self;
  }
}

/** A feed-forward part's first map. */
export function newIntermediate({ hidden_size, intermediate_size }: BlockConfig): { readonly dense: Linear } {
  return { dense: new Linear(hidden_size, intermediate_size) };
}

/** What ends an attention or a feed-forward part. @param inputs width of what is added */
export function newAddNorm({ hidden_size, layer_norm_eps }: BlockConfig, inputs: number): AddNorm {
  return new AddNorm({ inputs, hidden: hidden_size, eps: layer_norm_eps });
}

/** norm(x + feed-forward(x)). */
export function feedForward(
  config: BlockConfig,
  { dense }: { readonly dense: Linear },
  output: AddNorm,
  x: tf.Tensor3D,
): tf.Tensor3D {
  return tf.tidy(() => output.forward(x, activation(config.hidden_act)(dense.forward(x)) as tf.Tensor3D));
}

/** BERT's block. */
export class BertBlock extends Module<BlockConfig> {
  readonly attention = new BertAttention(this.config);
  readonly intermediate = newIntermediate(this.config);
  readonly output = newAddNorm(this.config, this.config.intermediate_size);

  forward(x: tf.Tensor3D, mask: tf.Tensor | null): tf.Tensor3D {
    return tf.tidy(() => {
      const mixed = this.attention.attend(x, this.attention.keysValues(x), mask);
      return feedForward(this.config, this.intermediate, this.output, mixed);
    });
  }
}
