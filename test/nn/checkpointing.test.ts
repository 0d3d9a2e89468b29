import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import { additiveMask, causalMask } from '../../src/nn/causal-mask';
import { Bf16Parameters } from '../../src/nn/freeze';
import { KvCache } from '../../src/nn/kv-cache';
import { declareLlama, type LlamaForwardOptions, llamaHidden } from '../../src/nn/llama';
import type { LlamaConfig } from '../../src/nn/llama-config';
import { LoraParameters } from '../../src/nn/lora';
import { type ParameterSpec, Parameters } from '../../src/nn/parameters';
import { textToImageMask } from '../../src/models/showo/masks';
import { showoVocabulary } from '../../src/models/showo/config';
import { showoHidden } from '../../src/models/showo/network';
import { largestDifference, snapshot, TINY, tinyParameters } from './tiny-showo';

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

function llama(change: Partial<LlamaConfig> = {}): { p: Parameters; config: LlamaConfig } {
  const config = { ...CONFIG, ...change };
  const specs: Record<string, ParameterSpec> = {};
  declareLlama(specs, 'm', config);
  for (const [name, spec] of Object.entries(specs)) specs[name] = { ...spec, init: { normal: 0.3 } };
  return { p: Parameters.random(specs, new Rng(5)), config };
}

function llamaLoss(p: Parameters, config: LlamaConfig, options: LlamaForwardOptions = {}): tf.Scalar {
  const rows = tf.tensor2d(IDS.flat(), [2, 20], 'int32');
  return tf.mean(tf.square(llamaHidden(p, 'm', config, p.embedding('m.embed_tokens', rows) as tf.Tensor3D, options)));
}

function showoLoss(p: Parameters): tf.Scalar {
  const v = showoVocabulary(TINY);
  const row = [v.pad, v.pad, v.t2i, v.sot, 5, 6, 7, 8, 9, v.eot, v.soi, ...Array.from({ length: 16 }, () => v.mask), v.eoi]; // prettier-ignore
  const ids = tf.tensor2d([...row, ...row], [2, row.length], 'int32');
  const mask = textToImageMask(row, v);
  return tf.mean(tf.square(showoHidden(p, TINY, ids, additiveMask([mask, mask], row.length))));
}

/** Value, gradients, and the most bytes that stood there on the way, over those before. */
function measure(p: Parameters, loss: () => tf.Scalar, checkpointing: boolean) {
  p.gradientCheckpointing = checkpointing;
  const { state } = tf.engine();
  let now = state.numBytes;
  const [start, tensors] = [now, tf.memory().numTensors];
  let peak = now;
  Object.defineProperty(state, 'numBytes', {
    configurable: true,
    get: () => now,
    set: (bytes: number) => (peak = Math.max(peak, (now = bytes))),
  });
  const learning = Object.entries(p.variables).filter(([name]) => !name.includes('lm_head')); // the loss reads hidden states
  const { value, grads } = tf.variableGrads(loss, learning.map(([, variable]) => variable)); // prettier-ignore
  Object.defineProperty(state, 'numBytes', { configurable: true, writable: true, value: now });
  const byName = Object.fromEntries(learning.map(([name, { name: own }]) => [name, grads[own]]));
  const result = { value: value.dataSync<'float32'>()[0], grads: snapshot(byName), peak: peak - start };
  tf.dispose([value, grads] as tf.TensorContainer);
  assert.equal(tf.memory().numTensors, tensors, 'nothing is left behind');
  return result;
}

/** @param least how many times less memory it must take */
function compare(p: Parameters, loss: () => tf.Scalar, least: number): void {
  const [plain, again] = [measure(p, loss, false), measure(p, loss, true)];
  assert.ok(Math.abs(plain.value - again.value) <= 1e-6 * Math.abs(plain.value));
  for (const [name, values] of Object.entries(plain.grads)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0, `${name} gets a gradient`);
    assert.ok(largestDifference(values, again.grads[name]) <= 1e-5 * largest, name);
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
      const { p, config } = llama(change);
      const mask = 'pads' in options ? { mask: causalMask(20, 20, options.pads) } : {};
      compare(p, () => llamaLoss(p, config, mask), 2);
      tf.dispose(Object.values(mask));
      p.dispose();
    });
  }

  test("Show-o's too", () => {
    const p = tinyParameters();
    compare(p, () => showoLoss(p), 1.3); // two blocks: there is less to save
    p.dispose();
  });

  test('memory hardly grows with the number of blocks', () => {
    const peak = (layers: number, checkpointing: boolean): number => {
      const { p, config } = llama({ num_hidden_layers: layers });
      const weights = 4 * p.count();
      const { peak: bytes } = measure(p, () => llamaLoss(p, config), checkpointing);
      p.dispose();
      return bytes - weights; // the gradients stand there in any case
    };
    const [plain, again] = [false, true].map((on) => peak(12, on) - peak(6, on));
    assert.ok(again < plain / 5, `six more blocks: ${plain} and ${again} bytes`);
  });

  test('adapters learn through it, on weights stored as bfloat16 too, and when they are merged', () => {
    const { p, config } = llama();
    for (const base of [p, Bf16Parameters.copy(p)]) {
      const lora = LoraParameters.create(base, { rank: 2, targets: ['q_proj', 'up_proj'] }, new Rng(3));
      for (const [name, variable] of Object.entries(lora.variables))
        if (name.includes('lora_B')) variable.assign(tf.fill(variable.shape, 0.1)); // at 0 there is nothing to learn for A
      compare(lora, () => llamaLoss(lora, config), 1.3);
      if (base === p) {
        const before = measure(lora, () => llamaLoss(lora, config), true).value;
        lora.merge();
        const merged = measure(lora, () => llamaLoss(lora, config), true);
        assert.ok(Math.abs(merged.value - before) < 1e-5 * before);
        assert.ok(Object.values(merged.grads).every((values) => values.every((value) => value === 0)));
        lora.unmerge();
      } else base.dispose();
      for (const variable of Object.values(lora.variables)) variable.dispose();
    }
    p.dispose();
  });

  test('decoding with a cache is as before', () => {
    const { p, config } = llama();
    const decode = (checkpointing: boolean): Float32Array => {
      p.gradientCheckpointing = checkpointing;
      const cache = new KvCache(config.num_hidden_layers);
      const parts = [IDS[0].slice(0, 15), IDS[0].slice(15)].map((row) =>
        tf.tidy(() => {
          const embeds = p.embedding('m.embed_tokens', tf.tensor2d(row, [1, row.length], 'int32')) as tf.Tensor3D;
          return llamaHidden(p, 'm', config, embeds, { cache }).dataSync<'float32'>();
        }),
      );
      assert.equal(cache.length, 20);
      cache.dispose();
      return parts[1];
    };
    assert.deepEqual(decode(true), decode(false));
    p.dispose();
  });
});
