import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import { Lora } from '../../src/nn/adapters';
import { causalMask } from '../../src/nn/causal-mask';
import { withCheckpointing } from '../../src/nn/checkpointing';
import { KvCache } from '../../src/nn/kv-cache';
import { Llama, LlamaBlock, type LlamaForwardOptions } from '../../src/nn/llama';
import type { LlamaConfig } from '../../src/nn/llama-config';
import type { ParamStore } from '../../src/nn/store';
import { apart, livelyStore, TINY_CONFIG, TINY_IDS, TinyBlock, TinyNetwork } from './tiny-network';

const CONFIG: LlamaConfig = {
  vocab_size: 23,
  hidden_size: 16,
  intermediate_size: 48,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  rope_factor: 1,
  max_position_embeddings: 64,
  attention_bias: true,
  mlp_bias: false,
  tie_word_embeddings: false,
};
const IDS = [0, 1].map((b) => Array.from({ length: 20 }, (_, t) => (t * 7 + b * 5) % 23));

function llama(change: Partial<LlamaConfig> = {}): { net: Llama; store: ParamStore } {
  const net = new Llama({ ...CONFIG, ...change });
  const store = livelyStore(net, new Rng(5), 0.3);
  return { net: net.with(store), store };
}

function lossOf(net: Llama, options: LlamaForwardOptions = {}): tf.Scalar {
  const rows = tf.tensor2d(IDS.flat(), [2, 20], 'int32');
  return tf.mean(tf.square(net.forward(net.embed_tokens.forward(rows), options)));
}

/** Value, gradients, and the most bytes that stood there on the way, over those before. */
function measure(learning: Readonly<Record<string, tf.Variable>>, loss: () => tf.Scalar) {
  const { state } = tf.engine();
  let now = state.numBytes;
  const [start, tensors] = [now, tf.memory().numTensors];
  let peak = now;
  Object.defineProperty(state, 'numBytes', {
    configurable: true,
    get: () => now,
    set: (bytes: number) => (peak = Math.max(peak, (now = bytes))),
  });
  const { value, grads } = tf.variableGrads(loss, Object.values(learning));
  Object.defineProperty(state, 'numBytes', { configurable: true, writable: true, value: now });
  const byName = Object.entries(learning).map(
    ([name, { name: own }]) => [name, grads[own].dataSync<'float32'>()] as const,
  );
  const result = { value: value.dataSync<'float32'>()[0], grads: Object.fromEntries(byName), peak: peak - start };
  tf.dispose([value, grads] as tf.TensorContainer);
  assert.equal(tf.memory().numTensors, tensors, 'nothing is left behind');
  return result;
}

/** @param loss of the network, and of the same one with checkpointing @param least how many times less memory it must take */
function compare(net: Llama, loss: (net: Llama) => tf.Scalar, least: number): void {
  const measured = [net, withCheckpointing(net, LlamaBlock)].map((each) => measure(net.variables(), () => loss(each)));
  const [plain, again] = measured;
  assert.ok(Math.abs(plain.value - again.value) <= 1e-6 * Math.abs(plain.value));
  for (const [name, values] of Object.entries(plain.grads)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0, `${name} gets a gradient`);
    assert.ok(apart(values, again.grads[name]) <= 1e-5 * largest, name);
  }
  assert.ok(plain.peak > least * again.peak, `${plain.peak} and ${again.peak} bytes`);
}

before(() => startEngine({ precision: 'float32' }));

describe('gradient checkpointing', () => {
  for (const [name, change, options] of [
    ['causal, grouped queries', {}, {}],
    ['norms of queries and keys, norms after the blocks', { qk_norm: true, swin_norm: true }, {}],
    ['rows padded on the left', {}, { pads: [0, 3] }],
  ] as const) {
    test(`the decoder's gradients are the same with less memory: ${name}`, () => {
      const { net, store } = llama(change);
      const mask = 'pads' in options ? { mask: causalMask(20, 20, options.pads) } : {};
      compare(net, (each) => lossOf(each, mask), 2);
      tf.dispose(Object.values(mask));
      store.dispose();
    });
  }

  test('memory hardly grows with the number of blocks', () => {
    const peak = (layers: number, checkpointing: boolean): number => {
      const { net, store } = llama({ num_hidden_layers: layers });
      const run = checkpointing ? withCheckpointing(net, LlamaBlock) : net;
      const { peak: bytes } = measure(net.variables(), () => lossOf(run));
      store.dispose();
      return bytes - store.bytes; // the gradients stand there in any case
    };
    const [plain, again] = [false, true].map((on) => peak(12, on) - peak(6, on));
    assert.ok(again < plain / 5, `six more blocks: ${plain} and ${again} bytes`);
  });

  test('it may be put around a network before its numbers, which may be exchanged; a wrong layer is an error', () => {
    const net = new TinyNetwork(TINY_CONFIG);
    const [first, second] = [1, 2].map((seed) => livelyStore(net, new Rng(seed)));
    const early = withCheckpointing(net, TinyBlock);
    const gradientOf = (model: TinyNetwork): Float32Array =>
      tf.tidy(() => {
        const variable = model.variables()['layers.0.mlp.fc1.weight'];
        const loss = () => tf.sum<tf.Scalar>(tf.square(model.forward(tf.tensor2d(TINY_IDS.flat(), [2, 3], 'int32'))));
        return tf.variableGrads(loss, [variable]).grads[variable.name].dataSync<'float32'>();
      });
    for (const store of [first, second])
      assert.ok(apart(gradientOf(early.with(store)), gradientOf(net.with(store))) < 1e-4);
    assert.ok(apart(gradientOf(early.with(first).with(second)), gradientOf(net.with(second))) < 1e-4);
    assert.throws(() => withCheckpointing(net, LlamaBlock), /the network has no LlamaBlock/);
    for (const store of [first, second]) store.dispose();
  });

  test('adapters learn through it, on weights stored as bfloat16 too, and when they are merged', () => {
    const { net, store } = llama();
    const frozen = store.clone('BF16');
    for (const base of [net, net.with(frozen)]) {
      const lora = Lora.create(base, { rank: 2, targets: ['q_proj', 'up_proj'] }, new Rng(3));
      for (const [name, variable] of Object.entries(lora.store.variables))
        if (name.includes('lora_B')) tf.tidy(() => void variable.assign(tf.fill(variable.shape, 0.1))); // at 0 there is nothing to learn for A
      compare(lora.net, lossOf, 1.3);
      if (base === net) {
        const checkpointed = withCheckpointing(lora.net, LlamaBlock);
        const before = measure(lora.store.variables, () => lossOf(checkpointed)).value;
        lora.merge();
        const merged = measure(lora.store.variables, () => lossOf(checkpointed));
        assert.ok(Math.abs(merged.value - before) < 1e-5 * before);
        assert.ok(Object.values(merged.grads).every((values) => values.every((value) => value === 0)));
        lora.unmerge();
      }
      lora.unload();
    }
    for (const owner of [frozen, store]) owner.dispose();
  });

  test('decoding with a cache is as before', () => {
    const { net, store } = llama();
    const decode = (run: Llama): Float32Array => {
      const cache = new KvCache(CONFIG.num_hidden_layers);
      const parts = [IDS[0].slice(0, 15), IDS[0].slice(15)].map((row) =>
        tf.tidy(() => {
          const embeds = run.embed_tokens.forward(tf.tensor2d(row, [1, row.length], 'int32'));
          return run.forward(embeds, { cache }).dataSync<'float32'>();
        }),
      );
      assert.deepEqual(cache.lengths, [20]);
      cache.dispose();
      return parts[1];
    };
    assert.deepEqual(decode(withCheckpointing(net, LlamaBlock)), decode(net));
    store.dispose();
  });
});
