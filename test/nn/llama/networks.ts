/** Small decoders of every kind, and what they say. */
import assert from 'node:assert/strict';
import { readValues, Rng, tf } from '../../../src/engine';
import { exactLogits, Llama, type LlamaForwardOptions } from '../../../src/nn/llama';
import { type LlamaConfig } from '../../../src/nn/llama-config';
import { Module } from '../../../src/nn/module';
import { ParamStore } from '../../../src/nn/store';

export const CONFIG: LlamaConfig = {
  vocab_size: 23,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  rope_factor: 1,
  max_position_embeddings: 64,
  attention_bias: false,
  mlp_bias: false,
  tie_word_embeddings: false,
};

export const KINDS: Readonly<Record<string, Partial<LlamaConfig>>> = {
  'grouped queries': {},
  'one key-value head a head, biases, tied': {
    num_key_value_heads: 4,
    attention_bias: true,
    mlp_bias: true,
    tie_word_embeddings: true,
  },
  'norms on queries and keys, norms after the blocks': { qk_norm: true, swin_norm: true },
  'scaled positions': { rope_factor: 4, num_key_value_heads: 1 },
};

class Network extends Module<LlamaConfig> {
  readonly m = new Llama(this.config);
  readonly lm_head = this.m.head();
}

/** Norms and biases that do something, weights large enough that a wrong position shows. */
export function build(change: Partial<LlamaConfig> = {}): { config: LlamaConfig; net: Network; store: ParamStore } {
  const config = { ...CONFIG, ...change };
  const net = new Network(config);
  const rng = new Rng(5);
  const store = ParamStore.fill(net, (name, { shape, initial }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const scale = 'normal' in initial ? 0.3 : 0.7;
    return rng
      .split(name)
      .normal(size)
      .map((value) => value * scale);
  });
  return { config, net: net.with(store), store };
}

export const ids = (rows: readonly (readonly number[])[]) =>
  tf.tensor2d(rows.flat(), [rows.length, rows[0].length], 'int32');

/** Logits of the rows' tokens, `[rows, tokens, vocab]`. */
export function logits(
  { net, config }: ReturnType<typeof build>,
  rows: tf.Tensor2D,
  options?: LlamaForwardOptions,
): tf.Tensor2D {
  const hidden = net.m.forward(net.m.embed_tokens.forward(rows), options);
  return exactLogits(net.lm_head, tf.reshape(hidden, [-1, config.hidden_size]));
}

export function logitsOf(
  model: ReturnType<typeof build>,
  rows: readonly (readonly number[])[],
  options: LlamaForwardOptions = {},
): Float32Array {
  return readValues(() => logits(model, ids(rows), options));
}

export function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

export const TOKENS = [
  [3, 1, 4, 1, 5, 9, 2, 6],
  [2, 7, 1, 8, 2, 8, 1, 8],
];
