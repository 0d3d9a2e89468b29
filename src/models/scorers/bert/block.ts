/**
 * The post-norm transformer block of BERT (Devlin et al. 2019), which BLIP's text model and BLIP-2's Q-Former keep and
 * extend by cross attention: each part is added to its input, then normed. Names are upstream's.
 */
import { attention, tf } from '../../../engine';
import { activation } from '../../../nn/activations';
import { declareLayerNorm, declareLinear, namedLayerNorm, namedLinear } from '../../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
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

/** What upstream calls the three projections' parent inside an attention: `self`, but in the Q-Former `attention`. */
export type ProjectionParent = 'self' | 'attention';

/** Keys and values of an attention, `[batch, heads, tokens, headDim]` each. */
export type KeysValues = {
  readonly keys: tf.Tensor4D;
  readonly values: tf.Tensor4D;
};

type MutableSpecs = Record<string, ParameterSpec>;

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

/** One attention and its norm. @param source width of what keys and values are made of; default the block's own */
export function declareAttention(
  specs: MutableSpecs,
  name: string,
  parent: ProjectionParent,
  { hidden_size: hidden }: BlockConfig,
  source = hidden,
): void {
  declareLinear(specs, `${name}.${parent}.query`, hidden, hidden);
  declareLinear(specs, `${name}.${parent}.key`, source, hidden);
  declareLinear(specs, `${name}.${parent}.value`, source, hidden);
  declareLinear(specs, `${name}.output.dense`, hidden, hidden);
  declareLayerNorm(specs, `${name}.output.LayerNorm`, hidden);
}

/** The two maps and the norm of a feed-forward part. @param suffix `_query` for the Q-Former's queries */
export function declareFeedForward(specs: MutableSpecs, block: string, config: BlockConfig, suffix = ''): void {
  const { hidden_size: hidden, intermediate_size: intermediate } = config;
  declareLinear(specs, `${block}.intermediate${suffix}.dense`, hidden, intermediate);
  declareLinear(specs, `${block}.output${suffix}.dense`, intermediate, hidden);
  declareLayerNorm(specs, `${block}.output${suffix}.LayerNorm`, hidden);
}

/** Keys and values of `source` `[batch, tokens, width]`. */
export function keysValues(
  p: Parameters,
  name: string,
  parent: ProjectionParent,
  config: BlockConfig,
  source: tf.Tensor,
): KeysValues {
  return tf.tidy(() => ({
    keys: inHeads(namedLinear(p, `${name}.${parent}.key`, source), config),
    values: inHeads(namedLinear(p, `${name}.${parent}.value`, source), config),
  }));
}

/**
 * norm(x + attention(x, keys, values)).
 * @param x `[batch, queries, hidden]`
 * @param mask added to the scores, `[batch or 1, 1, queries or 1, keys]`; null: all is seen
 */
export function attend(
  p: Parameters,
  name: string,
  parent: ProjectionParent,
  config: BlockConfig,
  x: tf.Tensor3D,
  { keys, values }: KeysValues,
  mask: tf.Tensor | null,
): tf.Tensor3D {
  return tf.tidy(() => {
    const query = inHeads(namedLinear(p, `${name}.${parent}.query`, x), config);
    const mixed = tf.reshape(tf.transpose(attention(query, keys, values, mask), [0, 2, 1, 3]), x.shape);
    const out = tf.add(x, namedLinear(p, `${name}.output.dense`, mixed));
    return namedLayerNorm(p, `${name}.output.LayerNorm`, out, config.layer_norm_eps) as tf.Tensor3D;
  });
}

/** norm(x + feed-forward(x)). */
export function feedForward(
  p: Parameters,
  block: string,
  config: BlockConfig,
  x: tf.Tensor3D,
  suffix = '',
): tf.Tensor3D {
  return tf.tidy(() => {
    const wide = activation(config.hidden_act)(namedLinear(p, `${block}.intermediate${suffix}.dense`, x));
    const out = tf.add(x, namedLinear(p, `${block}.output${suffix}.dense`, wide));
    return namedLayerNorm(p, `${block}.output${suffix}.LayerNorm`, out, config.layer_norm_eps) as tf.Tensor3D;
  });
}

function inHeads(x: tf.Tensor, { hidden_size: hidden, num_attention_heads: heads }: BlockConfig): tf.Tensor4D {
  const [batch, tokens] = x.shape;
  return tf.transpose(tf.reshape<tf.Rank.R4>(x, [batch, tokens, heads, hidden / heads]), [0, 2, 1, 3]);
}
