import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { readValues, startEngine, tf } from '../../../src/engine';
import { causalMask } from '../../../src/nn/causal-mask';
import { KvCache } from '../../../src/nn/kv-cache';
import { llamaRotary } from '../../../src/nn/llama';
import { LlamaConfigError, llamaConfigFromUpstream, llamaConfigToUpstream } from '../../../src/nn/llama-config';
import { sharedTexts } from '../../../src/nn/shared-texts';
import { CONFIG, KINDS, build, ids, logits, logitsOf, worst, TOKENS } from './networks';

before(() => startEngine({ precision: 'float32' }));

describe('decoder', () => {
  for (const [name, change] of Object.entries(KINDS)) {
    test(`in pieces with the cache it gives the numbers of one pass: ${name}`, () => {
      const model = build(change);
      const whole = logitsOf(model, TOKENS);
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 8, maxLength: 8 }), (sizes) => {
          const cache = new KvCache(model.config.num_hidden_layers);
          const vocab = model.config.vocab_size;
          for (let at = 0, i = 0; at < 8; i++) {
            const end = Math.min(8, at + sizes[i]);
            const part = logitsOf(
              model,
              TOKENS.map((row) => row.slice(at, end)),
              { cache },
            );
            const expected = TOKENS.flatMap((_, b) => [...whole.slice((b * 8 + at) * vocab, (b * 8 + end) * vocab)]);
            assert.ok(worst(part, expected) < 1e-4, `tokens ${at}..${end}`);
            at = end;
          }
          assert.deepEqual(cache.lengths, [8, 8]);
          cache.dispose();
        }),
        { numRuns: 5 },
      );
      model.store.dispose();
    });
  }

  test('rows of different length, padded on the left, give what each gives alone', () => {
    const model = build();
    const vocab = model.config.vocab_size;
    const [long, short] = [TOKENS[0], TOKENS[1].slice(3)];
    const pads = [0, 3];
    const rows = [long, [0, 0, 0, ...short]];
    const positions = [long.map((_, t) => t), [0, 0, 0, ...short.map((_, t) => t)]];
    const mask = causalMask(8, 8, pads);
    const got = logitsOf(model, rows, { mask, positions });
    assert.ok(worst(got.slice(0, 8 * vocab), logitsOf(model, [long])) < 1e-4);
    assert.ok(worst(got.slice((8 + 3) * vocab), logitsOf(model, [short])) < 1e-4);
    tf.dispose(mask ?? []);
    model.store.dispose();
  });

  test('the order of tokens matters, and later tokens are not seen', () => {
    const model = build();
    const vocab = model.config.vocab_size;
    const one = logitsOf(model, [TOKENS[0]]);
    const swapped = logitsOf(model, [[1, 3, ...TOKENS[0].slice(2)]]);
    assert.ok(worst(one.slice(-vocab), swapped.slice(-vocab)) > 1e-3);
    const other = logitsOf(model, [[...TOKENS[0].slice(0, 7), 20]]);
    assert.ok(worst(one.slice(0, 7 * vocab), other.slice(0, 7 * vocab)) === 0);
    model.store.dispose();
  });

  test('every parameter gets a gradient, that of the tied table through both its uses', () => {
    for (const change of Object.values(KINDS)) {
      const model = build(change);
      const variables = model.net.variables();
      const loss = () => tf.mean<tf.Scalar>(tf.square(logits(model, ids(TOKENS))));
      const { value, grads } = tf.variableGrads(loss, Object.values(variables));
      for (const [name, variable] of Object.entries(variables)) {
        const size = readValues(() => tf.sum(tf.abs(grads[variable.name])))[0];
        assert.ok(size > 0 && Number.isFinite(size), name);
      }
      tf.dispose([value, grads] as tf.TensorContainer);
      model.store.dispose();
    }
  });

  test('what does not fit is said with both shapes', () => {
    const { net, store } = build();
    const embeds = tf.zeros<tf.Rank.R3>([1, 3, 7]);
    assert.throws(() => net.m.forward(embeds), /embeddings are \[1,3,7\], expected \[batch, tokens, 24\]/);
    const right = tf.zeros<tf.Rank.R3>([1, 3, 24]);
    const mask = tf.zeros<tf.Rank.R4>([1, 1, 3, 4]);
    assert.throws(() => net.m.forward(right, { mask }), /mask is \[1,1,3,4\], expected \[1 or 1, 1, 3, 3\]/);
    assert.throws(() => net.m.forward(right, { positions: [0, 1] }), /positions are 1 x 2, expected 3/);
    tf.dispose([embeds, right, mask]);
    store.dispose();
  });
});

describe('rows that begin alike', () => {
  const question = [3, 1, 4, 1, 5];
  const rows = [
    { beginning: question, rest: [9, 2, 6], key: 'a' },
    { beginning: [2, 7], rest: [], key: 'b' },
    { beginning: question, rest: [5], key: 'a' },
  ];

  test('stand behind each other, beginnings once', () => {
    const { ids, firsts, placeOf } = sharedTexts(rows, 0, llamaRotary(CONFIG));
    assert.deepEqual(ids, [3, 1, 4, 1, 5, 2, 7, 0, 0, 0, 9, 2, 6, 0, 0, 0, 5, 0, 0]);
    assert.deepEqual(firsts, [0, 1]);
    assert.deepEqual([placeOf(0, 4), placeOf(0, 5), placeOf(1, 1), placeOf(2, 0), placeOf(2, 5)], [4, 10, 6, 0, 16]);
  });

  test('give the values and the gradients of rows of their own', () => {
    for (const change of Object.values(KINDS)) {
      const model = build(change);
      const { ids: all, placeOf, inputs } = sharedTexts(rows, 0, llamaRotary(model.config));
      const at = rows.flatMap(({ beginning, rest }, b) => [...beginning, ...rest].map((_, token) => placeOf(b, token)));
      const together = () => {
        const { ids: tokens, ...shared } = inputs();
        assert.equal(tokens.size, all.length);
        return tf.gather(logits(model, tokens, { shared }), tf.tensor1d(at, 'int32'));
      };
      const apart = () => tf.concat(rows.map(({ beginning, rest }) => logits(model, ids([[...beginning, ...rest]]))));
      const [a, b] = [together, apart].map((run) => {
        const { value, grads } = tf.variableGrads(
          () => tf.mean<tf.Scalar>(tf.square(run())),
          Object.values(model.net.variables()),
        );
        const flat = [value, ...Object.values(grads)].flatMap((one) => [...one.dataSync()]);
        tf.dispose([value, grads] as tf.TensorContainer);
        return flat;
      });
      assert.ok(worst(readValues(together), readValues(apart)) < 1e-4);
      const distance = Math.hypot(...a.map((x, i) => x - b[i])) / Math.hypot(...b);
      assert.ok(distance < 1e-5, String(distance));
      model.store.dispose();
    }
  });
});

describe('configuration', () => {
  const json = { hidden_size: 64, num_attention_heads: 4, vocab_size: 100, num_hidden_layers: 1, intermediate_size: 8 };

  test('rotary settings are read in both styles', () => {
    const now = llamaConfigFromUpstream({ ...json, rope_parameters: { rope_theta: 5e5, rope_type: 'default' } }, 'c');
    assert.deepEqual([now.rope_theta, now.rope_factor, now.head_dim, now.num_key_value_heads], [5e5, 1, 16, 4]);
    const before = llamaConfigFromUpstream(
      { ...json, rope_theta: 7e3, rope_scaling: { type: 'linear', factor: 2 } },
      'c',
    );
    assert.deepEqual([before.rope_theta, before.rope_factor], [7e3, 2]);
    assert.equal(llamaConfigFromUpstream({ ...json, rope_scaling: null }, 'c').rope_theta, 10000);
    for (const config of [now, before])
      assert.deepEqual(llamaConfigFromUpstream(llamaConfigToUpstream(config), 'c'), config);
  });

  test('what cannot be built is named', () => {
    for (const [change, message] of [
      [{ hidden_size: 'wide' }, /c: hidden_size is "wide", expected a number/],
      [{ num_key_value_heads: 3 }, /num_attention_heads 4 is not divisible by num_key_value_heads 3/],
      [{ hidden_act: 'relu' }, /hidden_act is "relu", expected "silu"/],
      [{ rope_parameters: { rope_type: 'yarn' } }, /rope_type is "yarn"; "default" and "linear" can be read/],
      [{ num_hidden_layers: 0 }, /num_hidden_layers is 0, expected a positive integer/],
      [{ head_dim: 7 }, /head_dim is 7, expected an even number/],
      [{ attention_bias: 1 }, /attention_bias is 1, expected true or false/],
    ] as const) {
      assert.throws(
        () => llamaConfigFromUpstream({ ...json, ...change }, 'c'),
        (error: Error) => error instanceof LlamaConfigError && message.test(error.message),
      );
    }
  });
});
