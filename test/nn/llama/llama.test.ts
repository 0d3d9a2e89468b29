import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { causalMask } from '../../../src/nn/causal-mask';
import { KvCache } from '../../../src/nn/kv-cache';
import { exactLogits, Llama, type LlamaForwardOptions, llamaRotary } from '../../../src/nn/llama';
import {
  type LlamaConfig,
  LlamaConfigError,
  llamaConfigFromUpstream,
  llamaConfigToUpstream,
} from '../../../src/nn/llama-config';
import { Module } from '../../../src/nn/module';
import { sharedTexts } from '../../../src/nn/shared-texts';
import { ParamStore } from '../../../src/nn/store';

const CONFIG: LlamaConfig = {
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

const KINDS: Readonly<Record<string, Partial<LlamaConfig>>> = {
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
function build(change: Partial<LlamaConfig> = {}): { config: LlamaConfig; net: Network; store: ParamStore } {
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

const ids = (rows: readonly (readonly number[])[]) => tf.tensor2d(rows.flat(), [rows.length, rows[0].length], 'int32');

/** Logits of the rows' tokens, `[rows, tokens, vocab]`. */
function logits(
  { net, config }: ReturnType<typeof build>,
  rows: tf.Tensor2D,
  options?: LlamaForwardOptions,
): tf.Tensor2D {
  const hidden = net.m.forward(net.m.embed_tokens.forward(rows), options);
  return exactLogits(net.lm_head, tf.reshape(hidden, [-1, config.hidden_size]));
}

function logitsOf(
  model: ReturnType<typeof build>,
  rows: readonly (readonly number[])[],
  options: LlamaForwardOptions = {},
): Float32Array {
  return readValues(() => logits(model, ids(rows), options));
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

const TOKENS = [
  [3, 1, 4, 1, 5, 9, 2, 6],
  [2, 7, 1, 8, 2, 8, 1, 8],
];

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

describe('cache', () => {
  test('rows can be dropped and repeated; nothing is left behind', () => {
    const model = build();
    const vocab = model.config.vocab_size;
    const prompt = TOKENS.map((row) => row.slice(0, 5));
    logitsOf(model, prompt); // whatever the engine keeps for itself is there now
    const start = tf.memory().numTensors;
    const cache = new KvCache(model.config.num_hidden_layers);
    logitsOf(model, prompt, { cache });
    const held = tf.memory().numTensors;
    assert.equal(held - start, 2 * model.config.num_hidden_layers);
    cache.select([1, 1, 0]);
    assert.equal(cache.batch, 3);
    const next = logitsOf(model, [[9], [4], [4]], { cache });
    const alone = [
      [...prompt[1], 9],
      [...prompt[1], 4],
      [...prompt[0], 4],
    ].map((row) => logitsOf(model, [row]).slice(-vocab));
    alone.forEach((expected, b) =>
      assert.ok(worst(next.slice(b * vocab, (b + 1) * vocab), expected) < 1e-4, `row ${b}`),
    );
    for (let i = 0; i < 50; i++) {
      logitsOf(model, [[1], [2], [3]], { cache });
      assert.equal(tf.memory().numTensors, held);
    }
    // Keys and values, layers, float32, rows, heads, places (one was made room for anew), dimensions.
    assert.deepEqual(cache.lengths, [56, 56, 56]);
    assert.equal(cache.bytes, 2 * 2 * 4 * 3 * 2 * 64 * 8);
    assert.throws(
      () => logitsOf(model, [[1], [2]], { cache }),
      /the cache holds 3 rows; tokens of 2 rows cannot follow/,
    );
    cache.dispose();
    assert.equal(tf.memory().numTensors, start);
    model.store.dispose();
  });
});

describe('cache, continued', () => {
  test('has room for a few sizes, grows, and a row may begin anew or end', () => {
    const model = build();
    const vocab = model.config.vocab_size;
    const alone = (row: readonly number[]) => logitsOf(model, [row]).slice(-vocab);
    const cache = new KvCache(model.config.num_hidden_layers, 9);
    const rows = [[3, 1, 4], [2], [7, 1], [5, 5]];
    const counts = rows.map(({ length }) => length);
    const first = rows.map((row) => [...row, 0, 0].slice(0, 3));
    logitsOf(model, first, { cache, counts });
    assert.deepEqual([cache.lengths, cache.capacity], [[3, 1, 2, 2], 10]);
    const check = (got: Float32Array) =>
      rows.forEach((row, b) => assert.ok(worst(got.slice(b * vocab, (b + 1) * vocab), alone(row)) < 1e-4, `row ${b}`));
    for (let step = 0; step < 12; step++) {
      if (step === 8) {
        cache.clear(1);
        rows[1] = [];
      }
      rows.forEach((row, b) => row.push((5 * step + b) % 23));
      cache.reserve(1);
      check(
        logitsOf(
          model,
          rows.map((row) => row.slice(-1)),
          { cache },
        ),
      );
    }
    assert.deepEqual([cache.lengths, cache.capacity], [[15, 4, 14, 14], 20]);
    // The first row ends; it is computed on, for its place costs less than another shape.
    cache.select([2, 1, 3]);
    rows.splice(0, 4, rows[2], rows[1], rows[3]);
    assert.deepEqual([cache.batch, cache.lengths], [4, [14, 4, 14]]);
    rows.forEach((row) => row.push(6));
    assert.deepEqual(cache.spread(['c', 'b', 'd']), ['c', 'b', 'c', 'd']);
    check(cache.gathered(logitsOf(model, cache.spread([[6], [6], [6]]), { cache })));
    cache.select([1]);
    assert.deepEqual([cache.batch, cache.lengths], [1, [5]]);
    rows[1].push(8);
    assert.ok(worst(logitsOf(model, [[8]], { cache }), alone(rows[1])) < 1e-4);
    cache.dispose();
    model.store.dispose();
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
