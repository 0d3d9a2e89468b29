import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { readValues, startEngine, tf } from '../../src/engine';

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
});

test('values come out in row-major order, of the type that was computed, and no tensor stays behind', () => {
  const count = tf.memory().numTensors;
  assert.deepEqual(
    readValues(() => tf.transpose(tf.mul(tf.tensor2d([1, 2, 3, 4], [2, 2]), 0.5))),
    Float32Array.of(0.5, 1.5, 1, 2),
  );
  assert.deepEqual(
    readValues<'int32'>(() => tf.range(0, 3, 1, 'int32')),
    Int32Array.of(0, 1, 2),
  );
  assert.throws(() => readValues(() => tf.add(tf.ones([2]), tf.ones([3]))), /broadcast|incompatible|same|shape/i);
  assert.equal(tf.memory().numTensors, count);
});

test('inside of a gradient, nothing of what was computed for the values is kept, and the gradient is the same', () => {
  const x = tf.variable(tf.tensor1d([1, 2, 3]));
  const large = tf.ones([100, 100]);
  try {
    let held = 0;
    const { value, grads } = tf.variableGrads(() => {
      const before = tf.memory().numBytes;
      const factor = readValues(() => tf.mean(tf.square(tf.exp(tf.mul(large, 0)))))[0];
      // A gradient inside is its own.
      const slope = readValues(() => tf.grad((y) => tf.sum(tf.square(y)))(tf.scalar(3)))[0];
      held = tf.memory().numBytes - before;
      return tf.mul<tf.Scalar>(tf.sum(tf.square(x)), factor * slope);
    });
    assert.equal(held, 0);
    assert.equal(value.dataSync()[0], 14 * 6);
    assert.deepEqual(Array.from(grads[x.name].dataSync()), [12, 24, 36]);
    value.dispose();
    tf.dispose(grads);
  } finally {
    tf.dispose([x, large]);
  }
});
