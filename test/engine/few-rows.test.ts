/** Our product of few rows, on processors whose lanes multiply bfloat16 and that have no matrix unit. */
import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { releaseTraced, RepeatedStep, startEngine, tf, tracingWorks } from '../../src/engine';
import { inFloat32 } from '../../src/engine/bf16-products';
import { hasOwnKernel, int, kernel } from '../../src/engine/ops/kernel';
import { normal, rounded } from './numeric';

const ofFewRows = (x: tf.Tensor, weight: tf.Tensor): tf.Tensor =>
  kernel('UnilabFewRows', [int('outputs', weight.shape[0])], [x, kernel('UnilabPairs', [], [weight])]);

/** x w^T of the rounded numbers, and of their magnitudes. */
function expectedOf(x: tf.Tensor, weight: tf.Tensor) {
  const [a, b] = [x, weight].map((tensor) => rounded(tensor.dataSync<'float32'>()));
  const [, inner] = x.shape;
  const sum = (of: (p: number) => number) => (i: number, j: number) => {
    let all = 0;
    for (let k = 0; k < inner; k++) all += of(a[i * inner + k] * b[j * inner + k]);
    return all;
  };
  return { value: sum((p) => p), size: sum(Math.abs) };
}

describe('products of few rows', () => {
  let lacks: string | false = false;
  before(async () => {
    await startEngine({ precision: 'bf16', quiet: true });
    lacks = !hasOwnKernel('UnilabFewRows') && 'this processor has no such lanes, or has a matrix unit';
  });

  test('1 + 2^-9 is rounded to 1, and what is whole is not rounded', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const x = tf.tensor2d([
        [1 + 2 ** -9, 2],
        [256, 1],
      ]);
      const weight = tf.tensor2d([
        [5, 7],
        [1, 1],
        [0, -1],
      ]);
      assert.deepEqual([...ofFewRows(x, weight).dataSync()], [19, 3, -2, 1287, 257, -1]);
    });
  });

  test('of any size it is that of the rounded matrices', (context) => {
    if (lacks) return context.skip(lacks);
    const inner = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(256, 545));
    const sizes = [fc.integer({ min: 1, max: 32 }), inner, fc.integer({ min: 1, max: 90 })] as const;
    fc.assert(
      fc.property(...sizes, (rows, depth, outputs) => {
        tf.tidy(() => {
          const [x, weight] = [normal([rows, depth], 1), normal([outputs, depth], 2)];
          const found = ofFewRows(x, weight).dataSync();
          const expected = expectedOf(x, weight);
          for (let i = 0; i < rows; i++)
            for (let j = 0; j < outputs; j++) {
              const apart = Math.abs(found[i * outputs + j] - expected.value(i, j));
              assert.ok(apart <= 2e-6 * expected.size(i, j), `${apart} apart at ${i}, ${j}`);
            }
        });
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  test('is what tf.js asks for: a row is the same alone and among 32; in float32 it is not rounded, and of 33 rows it is TensorFlow’s', (context) => {
    if (lacks) return context.skip(lacks);
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const [x, weight] = [normal([33, 200], 3) as tf.Tensor2D, normal([300, 200], 4) as tf.Tensor2D];
      const product = (from: number, count: number) =>
        tf.matMul(tf.slice(x, [from, 0], [count, -1]), weight, false, true).dataSync();
      const few = product(0, 32);
      assert.deepEqual(few, ofFewRows(tf.slice(x, [0, 0], [32, -1]), weight).dataSync());
      for (const row of [0, 7, 31]) assert.deepEqual(product(row, 1), few.slice(row * 300, (row + 1) * 300));
      const exact = inFloat32(() => product(0, 32));
      assert.ok(exact.some((value, i) => value !== few[i]));
      assert.ok(Math.max(...exact.map((value, i) => Math.abs(value - few[i]))) < 0.5);
      assert.ok(
        product(0, 33)
          .slice(0, 32 * 300)
          .some((value, i) => value !== few[i]),
      );
    });
    assert.equal(tf.memory().numTensors, before);
  });

  test('its gradients are those of a product', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const [x, weight] = [normal([8, 200], 5) as tf.Tensor2D, normal([300, 200], 6) as tf.Tensor2D];
      const [dx, dw] = tf.grads((a, b) => tf.sum(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true)))([
        x,
        weight,
      ]);
      const near = (found: tf.Tensor, expected: tf.Tensor) =>
        assert.ok(
          tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0] < 0.05 * tf.max(tf.abs(expected)).dataSync()[0],
        );
      near(dx, tf.tile(tf.sum(weight, 0, true), [8, 1]));
      near(dw, tf.tile(tf.sum(x, 0, true), [300, 1]));
    });
  });

  test('a repeated step lays out its weights once', (context) => {
    if (lacks || !tracingWorks()) return context.skip(lacks || 'functions are not traced');
    const owner = {};
    const weight = tf.tidy(() => tf.variable(normal([300, 64], 3) as tf.Tensor2D));
    const step = new RepeatedStep(owner, 'few rows', ([x]) => tf.matMul(x, weight, false, true));
    const handles = (): number =>
      (tf.backend() as unknown as { binding: { getNumOfTensors(): number } }).binding.getNumOfTensors();
    const before = handles();
    for (const seed of [1, 2, 3, 4]) {
      const x = normal([3, 64], seed);
      const [found, expected] = [step.run([x]), tf.matMul(x, weight, false, true)];
      assert.deepEqual(found.dataSync(), expected.dataSync());
      tf.dispose([x, found, expected]);
      // The weight has a handle of its own since it was first used.
      assert.equal(handles() - before, seed === 1 ? 1 : 2);
    }
    step.forget();
    releaseTraced(owner);
    assert.equal(handles(), before + 1);
    weight.dispose();
  });

  test('says what does not fit', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const weight = normal([40, 64], 7);
      assert.throws(() => ofFewRows(normal([33, 64], 8), weight), /up to 32/);
      assert.throws(() => ofFewRows(normal([2, 65], 8), weight), /made for n numbers/);
      assert.throws(() => kernel('UnilabPairs', [], [normal([2, 3, 4], 9)]), /two axes, not 3/);
    });
  });
});
