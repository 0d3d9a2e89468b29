import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import * as engine from '../../src/engine';
import { tf } from '../../src/engine';
import { agree, checkGradients, close, normal, type Operation, valueAndGradients } from './numeric';

const ids = (values: number[], shape?: number[]) => tf.tensor(values, shape ?? [values.length], 'int32');

interface Case {
  readonly name: string;
  readonly op: Operation;
  readonly plain: Operation;
  readonly inputs: () => tf.Tensor[];
}

const one = (x: tf.Tensor) => x as tf.Tensor1D;
const cases: Case[] = [
  {
    name: 'layerNorm',
    op: (x, g, b) => engine.layerNorm(x, one(g), one(b)),
    plain: (x, g, b) => engine.reference.layerNorm(x, one(g), one(b)),
    inputs: () => [tf.add(normal([2, 5, 16], 1), 3), normal([16], 2), normal([16], 3)],
  },
  {
    name: 'layerNorm without an offset',
    op: (x, g) => engine.layerNorm(x, one(g), null, 1e-3),
    plain: (x, g) => engine.reference.layerNorm(x, one(g), null, 1e-3),
    inputs: () => [normal([7, 8], 1), normal([8], 2)],
  },
  {
    name: 'rmsNorm',
    op: (x, g) => engine.rmsNorm(x, one(g)),
    plain: (x, g) => engine.reference.rmsNorm(x, one(g)),
    inputs: () => [normal([2, 5, 16], 1), normal([16], 2)],
  },
  {
    name: 'groupNorm',
    op: (x, g, b) => engine.groupNorm(x, one(g), one(b), 4),
    plain: (x, g, b) => engine.reference.groupNorm(x, one(g), one(b), 4),
    inputs: () => [tf.add(normal([3, 4, 5, 8], 1), 1), normal([8], 2), normal([8], 3)],
  },
  { name: 'geluTanh', op: engine.geluTanh, plain: engine.reference.geluTanh, inputs: () => [normal([6, 9], 4)] },
  { name: 'geluErf', op: engine.geluErf, plain: engine.reference.geluErf, inputs: () => [normal([6, 9], 5)] },
  { name: 'silu', op: engine.silu, plain: engine.reference.silu, inputs: () => [normal([6, 9], 6)] },
  {
    name: 'logSoftmax',
    op: engine.logSoftmax,
    plain: engine.reference.logSoftmax,
    inputs: () => [tf.mul(normal([5, 11], 7), 4)],
  },
  {
    name: 'tokenLogProbs',
    op: (z) => engine.tokenLogProbs(z, one(ids([0, 3, 10, 3, 9]))),
    plain: (z) => engine.reference.tokenLogProbs(z, one(ids([0, 3, 10, 3, 9]))),
    inputs: () => [tf.mul(normal([5, 11], 8), 3)],
  },
  {
    name: 'crossEntropy',
    op: (z) => engine.crossEntropy(z, one(ids([0, -100, 10, 3, -100]))),
    plain: (z) => engine.reference.crossEntropy(z, one(ids([0, -100, 10, 3, -100]))),
    inputs: () => [tf.mul(normal([5, 11], 9), 3)],
  },
  {
    name: 'attention',
    op: (q, k, v) => engine.attention(q, k, v, someMask()),
    plain: (q, k, v) => engine.reference.attention(q, k, v, someMask()),
    inputs: () => [normal([2, 3, 4, 8], 10), normal([2, 3, 6, 8], 11), normal([2, 3, 6, 5], 12)],
  },
  {
    name: 'attention without a mask',
    op: (q, k, v) => engine.attention(q, k, v, null, 0.3),
    plain: (q, k, v) => engine.reference.attention(q, k, v, null, 0.3),
    inputs: () => [normal([1, 2, 5, 4], 10), normal([1, 2, 5, 4], 11), normal([1, 2, 5, 4], 12)],
  },
  {
    name: 'embedding',
    op: (t) => engine.embedding(t, ids([1, 5, 1, 0, 6, 1], [2, 3])),
    plain: (t) => engine.reference.embedding(t, ids([1, 5, 1, 0, 6, 1], [2, 3])),
    inputs: () => [normal([7, 4], 13)],
  },
  {
    name: 'linear',
    op: (x, w, b) => engine.linear(x, w, b),
    plain: (x, w, b) => engine.linear(x, tf.transpose(w), b, { transposed: true }),
    inputs: () => [normal([2, 3, 5], 14), normal([4, 5], 15), normal([4], 16)],
  },
];

/** `[2, 1, 4, 6]`: another half hidden in each row of the batch. */
function someMask(): tf.Tensor {
  return tf.tidy(() => tf.mul(tf.cast(tf.greater(normal([2, 1, 4, 6], 17), 0.5), 'float32'), -1e9));
}

describe('operations', () => {
  before(async () => {
    await engine.startEngine({ precision: 'float32' });
  });

  for (const { name, op, plain, inputs } of cases) {
    test(`${name}: value and gradients agree with plain tf.js`, () =>
      tf.tidy(() => agree(op, plain, inputs(), 2e-5, name)));
    test(`${name}: gradients agree with finite differences`, () => tf.tidy(() => checkGradients(op, inputs(), name)));
    test(`${name}: no tensor stays behind`, () => {
      const given = inputs();
      const run = () => tf.dispose(Object.values(tf.tidy(() => valueAndGradients(op, given))).flat());
      run();
      const count = tf.memory().numTensors;
      for (let i = 0; i < 3; i++) run();
      assert.equal(tf.memory().numTensors, count);
      tf.dispose(given);
    });
  }

  test('sizes that are shared out over threads, and odd ones, agree with plain tf.js', () =>
    tf.tidy(() => {
      const [gamma, beta] = [normal([257], 2), normal([257], 3)].map(one);
      agree(engine.geluTanh, engine.reference.geluTanh, [tf.mul(normal([201, 303], 1), 4)], 2e-5, 'geluTanh');
      agree(engine.silu, engine.reference.silu, [tf.mul(normal([201, 303], 1), 4)], 2e-5, 'silu');
      const rows = tf.add(normal([301, 257], 1), 2);
      agree(
        (x, g, b) => engine.layerNorm(x, one(g), one(b)),
        (x, g, b) => engine.reference.layerNorm(x, one(g), one(b)),
        [rows, gamma, beta],
        1e-4,
        'layerNorm',
      );
      agree(
        (x, g, b) => engine.groupNorm(x, one(g), one(b), 3),
        (x, g, b) => engine.reference.groupNorm(x, one(g), one(b), 3),
        [normal([5, 17, 19, 33], 1), normal([33], 2), normal([33], 3)],
        2e-4,
        'groupNorm',
      );
      const tokens = one(ids(Array.from({ length: 65 }, (_, i) => (i * 13) % 1001)));
      agree(
        (z) => engine.tokenLogProbs(z, tokens),
        (z) => engine.reference.tokenLogProbs(z, tokens),
        [tf.mul(normal([65, 1001], 1), 5)],
        2e-5,
        'tokenLogProbs',
      );
      const mask = tf.mul(tf.cast(tf.greater(normal([3, 1, 1, 71], 9), 0), 'float32'), -1e9);
      agree(
        (q, k, v) => engine.attention(q, k, v, mask),
        (q, k, v) => engine.reference.attention(q, k, v, mask),
        [normal([3, 4, 70, 8], 1), normal([3, 4, 71, 8], 2), normal([3, 4, 71, 8], 3)],
        2e-5,
        'attention',
      );
    }));

  test('geluTanh and silu hold for very large inputs', () =>
    tf.tidy(() => {
      const x = tf.tensor1d([-1e10, -200, -20, 0, 20, 200, 1e10]);
      for (const op of [engine.geluTanh, engine.silu]) {
        const { value, grads } = valueAndGradients(op, [x]);
        assert.ok([...value.dataSync(), ...grads[0].dataSync()].every(Number.isFinite), op.name);
        close(tf.slice(value, [3], [4]), tf.slice(x, [3], [4]), 1e-6, op.name);
      }
    }));

  test('crossEntropy is 0 with zero gradient when every label is ignored', () =>
    tf.tidy(() => {
      const { value, grads } = valueAndGradients(
        (z) => engine.crossEntropy(z, one(ids([7, 7])), { ignoreIndex: 7 }),
        [normal([2, 9], 1)],
      );
      assert.equal(value.dataSync()[0], 0);
      assert.ok(grads[0].dataSync().every((g) => g === 0));
    }));

  test('tokenLogProbs stays finite for huge logits', () =>
    tf.tidy(() => {
      const lp = engine.tokenLogProbs(tf.tensor2d([[1e4, 0, -1e4]]), one(ids([2])));
      assert.equal(lp.dataSync()[0], -2e4);
      assert.equal(engine.tokenLogProbs(tf.tensor2d([[1e4, 0, -1e4]]), one(ids([0]))).dataSync()[0], 0);
    }));

  test('layerNorm of a constant row is its offset', () =>
    tf.tidy(() => {
      const y = engine.layerNorm(tf.fill([2, 8], 5), tf.ones([8]), tf.fill([8], 0.25));
      close(y, tf.fill([2, 8], 0.25), 1e-6, 'constant row');
    }));

  test('shapes that do not fit are named', () => {
    assert.throws(() => engine.linear(tf.zeros([2, 3]), tf.zeros([3, 4])), /does not fit/);
    assert.throws(() => engine.layerNorm(tf.zeros([2, 3]), tf.zeros([4]), null), /last axis has 3/);
    assert.throws(() => engine.groupNorm(tf.zeros([1, 2, 2, 6]), tf.zeros([6]), tf.zeros([6]), 4), /do not divide/);
    assert.throws(() => engine.tokenLogProbs(tf.zeros([2, 3]), tf.zeros([2])), /int32/);
    const q = tf.zeros<tf.Rank.R4>([1, 1, 2, 4]);
    assert.throws(() => engine.attention(q, tf.zeros([1, 1, 2, 3]), q, null), /headDim/);
    assert.throws(() => engine.attention(q, q, q, tf.zeros([1, 1, 2, 3])), /mask/);
  });

  test('checkpoint gives the same value and gradients', () =>
    tf.tidy(() => {
      const block: Operation = (x, w1, w2) => tf.add(x, tf.matMul(engine.silu(tf.matMul(x, w1)), w2));
      const chain =
        (wrap: (fn: Operation) => Operation): Operation =>
        (x, w1, w2) =>
          tf.square(wrap(block)(wrap(block)(x, w1, w2), w1, w2));
      const inputs = [normal([3, 4], 1), normal([4, 6], 2), normal([6, 4], 3)];
      agree(
        chain(engine.checkpoint),
        chain((fn) => fn),
        inputs,
        1e-6,
        'checkpoint',
      );
    }));

  test('checkpoint keeps less memory until the gradient', () =>
    tf.tidy(() => {
      const block: Operation = (x, w) => [1, 2, 3, 4].reduce((h: tf.Tensor) => engine.geluTanh(tf.matMul(h, w)), x);
      const inputs = [normal([32, 32], 1), normal([32, 32], 2)];
      const peak = (fn: Operation): number => {
        const state = tf.engine().state;
        let kept = 0;
        tf.grads((...xs: tf.Tensor[]) => {
          const y = fn(...xs);
          kept = state.numBytes;
          return y;
        })(inputs);
        return kept;
      };
      const start = tf.memory().numBytes;
      const without = peak(block) - start;
      const between = tf.memory().numBytes;
      assert.ok(peak(engine.checkpoint(block)) - between < without / 3);
    }));
});
