import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startEngine, tf } from '../../../src/engine';
import { l2Normalize } from '../../../src/nn/vqgan-codebook';

before(() => startEngine({ precision: 'float32', quiet: true }));

const gradientAt = (rows: number[][]) =>
  tf.tidy(() => {
    const weighed = (x: tf.Tensor) => tf.sum<tf.Scalar>(tf.mul(l2Normalize(x), [[1, 2]]));
    return [...tf.grad(weighed)(tf.tensor2d(rows)).dataSync()];
  });

describe('l2Normalize', () => {
  it('3 4 has the direction 0.6 0.8; the gradient is what is left of 1 2 across it, by the length', () => {
    const [a, b, zero, none] = tf.tidy(() => [
      ...l2Normalize(
        tf.tensor2d([
          [3, 4],
          [0, 0],
        ]),
      ).dataSync(),
    ]);
    assert.ok(Math.abs(a - 0.6) < 1e-6 && Math.abs(b - 0.8) < 1e-6);
    assert.deepEqual([zero, none], [0, 0]);
    // (1 2) - 2.2 (0.6 0.8) = (-0.32 0.24), divided by 5
    const [x, y] = gradientAt([[3, 4]]);
    assert.ok(Math.abs(x + 0.064) < 1e-6 && Math.abs(y - 0.048) < 1e-6);
  });

  it("at zeros the gradient is PyTorch's: 1 2 divided by 1e-12, finite", () => {
    const [x, y] = gradientAt([[0, 0]]);
    assert.ok(Math.abs(x / 1e12 - 1) < 1e-5 && Math.abs(y / 2e12 - 1) < 1e-5, `${x} ${y}`);
  });
});
