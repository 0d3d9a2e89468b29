import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import { reference, rmsNorm, startEngine, swiglu, tf, turned, type TurnTables } from '../../src/engine';
import { rotaryTables } from '../../src/nn/rotary';
import { agree, checkGradients, close, normal, type Operation } from './numeric';

/** Turns the first two of three dimensions by 90 degrees, and the third not at all. */
const quarter: () => TurnTables = () => ({
  cos: tf.tensor2d([[0, 0, 1]]),
  sin: tf.tensor2d([[1, 1, 0]]),
  swap: tf.tensor2d([
    [0, 1, 0],
    [-1, 0, 0],
    [0, 0, 0],
  ]),
});

const turnedBy =
  (tables: TurnTables): Operation =>
  (x) =>
    turned(x as tf.Tensor4D, tables);
const plainlyTurnedBy =
  (tables: TurnTables): Operation =>
  (x) =>
    reference.turned(x as tf.Tensor4D, tables);

describe('operations of decoders', () => {
  before(() => startEngine({ precision: 'float32', quiet: true }));

  test('a quarter turn makes (1, 2) to (-2, 1), and what is not turned stays', () =>
    tf.tidy(() => {
      const x = tf.tensor4d([1, 2, 3], [1, 1, 1, 3]);
      for (const way of [turned, reference.turned]) assert.deepEqual([...way(x, quarter()).dataSync()], [-2, 1, 3]);
      // The gradient is turned back.
      const [dx] = tf.grads(turnedBy(quarter()))([x], tf.tensor4d([-2, 1, 5], [1, 1, 1, 3]));
      assert.deepEqual([...dx.dataSync()], [1, 2, 5]);
    }));

  test('the gate of SwiGLU lets through its sigmoid times itself', () =>
    tf.tidy(() => {
      // sigmoid(ln 3) = 3 / 4
      const gate = tf.tensor1d([0, Math.log(3)]);
      const expected = tf.tensor1d([0, 3 * Math.log(3)]);
      for (const way of [swiglu, reference.swiglu]) close(way(gate, tf.tensor1d([7, 4])), expected, 1e-6, way.name);
    }));

  test('the RMS norm of (3, 4) divides by the root of 12.5', () =>
    tf.tidy(() => {
      const expected = tf.tensor1d([3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5)]);
      close(rmsNorm(tf.tensor1d([3, 4]), tf.tensor1d([1, 2]), 0), expected, 1e-6, 'rmsNorm');
    }));

  const half = { headDim: 16, rotated: 8, theta: 100 };
  const cases: Record<string, { op: Operation; plain: Operation; inputs: () => tf.Tensor[] }> = {
    'positions that all rows share': {
      op: (x) => turnedBy(rotaryTables([0, 5, 2], half))(x),
      plain: (x) => plainlyTurnedBy(rotaryTables([0, 5, 2], half))(x),
      inputs: () => [normal([2, 3, 3, 16], 1)],
    },
    'positions of each row': {
      op: (x) => turnedBy(rotaryTables([[3], [7]], { ...half, rotated: 16 }))(x),
      plain: (x) => plainlyTurnedBy(rotaryTables([[3], [7]], { ...half, rotated: 16 }))(x),
      inputs: () => [normal([2, 5, 1, 16], 2)],
    },
    swiglu: { op: swiglu, plain: reference.swiglu, inputs: () => [normal([3, 4, 9], 3), normal([3, 4, 9], 4)] },
    'rmsNorm of sizes that are shared out over threads': {
      op: (x, g) => rmsNorm(x, g as tf.Tensor1D),
      plain: (x, g) => reference.rmsNorm(x, g as tf.Tensor1D),
      inputs: () => [normal([301, 257], 5), normal([257], 6)],
    },
    'swiglu of sizes that are shared out over threads': {
      op: swiglu,
      plain: reference.swiglu,
      inputs: () => [normal([201, 303], 7), normal([201, 303], 8)],
    },
    'positions of many tokens': {
      op: (x) => turnedBy(rotaryTables(Array.from({ length: 301 }).fill(9) as number[], half))(x),
      plain: (x) => plainlyTurnedBy(rotaryTables(Array.from({ length: 301 }).fill(9) as number[], half))(x),
      inputs: () => [normal([3, 5, 301, 16], 9)],
    },
  };
  for (const [name, { op, plain, inputs }] of Object.entries(cases)) {
    test(`${name}: value and gradients agree with plain tf.js`, () =>
      tf.tidy(() => agree(op, plain, inputs(), 5e-5, name)));
    if (!/threads|many/.test(name))
      test(`${name}: gradients agree with finite differences`, () => tf.tidy(() => checkGradients(op, inputs(), name)));
  }

  test('what does not fit is named', () =>
    tf.tidy(() => {
      const x = normal([1, 2, 4, 16], 1) as tf.Tensor4D;
      assert.throws(
        () => turned(x, rotaryTables([0, 1, 2], half)),
        /turned: x \[1,2,4,16\], cosines \[3,16\].*do not fit/,
      );
      assert.throws(() => swiglu(tf.zeros([2, 3]), tf.zeros([3, 2])), /gate is \[2,3\] and what it gates \[3,2\]/);
    }));
});
