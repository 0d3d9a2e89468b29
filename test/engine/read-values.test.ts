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
