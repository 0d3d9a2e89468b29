import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../src/engine';
import { Parameters } from '../../src/nn/parameters';
import { SharedRowParameters } from '../../src/sft/shared-rows';

before(() => startEngine({ precision: 'float32', quiet: true }));

test('rows are the table plus what their features share, in use and when saved; one row moves those like it', async () => {
  const start = tf.memory().numTensors;
  const specs = { 'rows.weight': { shape: [4, 3], init: { normal: 1 } }, other: { shape: [2], init: { constant: 1 } } };
  const base = Parameters.random(specs, new Rng(1));
  const plain = readValues(() => tf.clone(base.get('rows.weight')));
  // Rows 0 and 1 are alike, row 2 is their opposite, row 3 shares nothing.
  const offsets = tf.tensor2d([1, 1, 1, 1, -1, -1, 0, 0], [4, 2]);
  const shared = new SharedRowParameters(base, ['rows.weight'], offsets);
  assert.deepEqual([...readValues(() => tf.clone(shared.get('rows.weight')))], [...plain]);
  assert.deepEqual(Object.keys(shared.variables), ['rows.weight', 'other', 'shared.rows.weight']);

  const { value, grads } = tf.variableGrads(
    () => tf.sum<tf.Scalar>(tf.gather(shared.get('rows.weight'), tf.tensor1d([0], 'int32'))),
    Object.values(shared.variables).filter(({ shape }) => shape.length === 2),
  );
  const gradient = (name: string) => grads[shared.variables[name].name];
  tf.tidy(() => {
    shared.variables['rows.weight'].assign(tf.add(shared.variables['rows.weight'], gradient('rows.weight')));
    shared.variables['shared.rows.weight'].assign(gradient('shared.rows.weight'));
  });
  tf.dispose([value, grads] as tf.TensorContainer);
  const { data } = (await shared.values())['rows.weight'];
  const moved = Array.from(data, (x, i) => Math.round((x - plain[i]) * 1e4) / 1e4);
  assert.deepEqual(moved, [3, 3, 3, 2, 2, 2, -2, -2, -2, 0, 0, 0]);
  const row = readValues(() => shared.embedding('rows', tf.tensor1d([1], 'int32')));
  assert.deepEqual(row, data.slice(3, 6));
  shared.dispose();
  assert.equal(tf.memory().numTensors, start);
});
