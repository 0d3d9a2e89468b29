import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import { openSafetensors, readSafetensors, type WritableTensor, writeSafetensors } from '../../src/io';
import { Bf16Parameters } from '../../src/nn/freeze';
import { Parameters, type ParameterSpecs } from '../../src/nn/parameters';

const specs: ParameterSpecs = {
  'embed.weight': { shape: [6, 4], init: { normal: 1 } },
  'head.weight': { shape: [6, 4], init: { normal: 1 }, tiedTo: 'embed.weight' },
  'head.bias': { shape: [6], init: { constant: 0 } },
};

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-tied-'));
});
after(() => rm(scratch, { recursive: true }));

const array = (x: tf.Tensor): number[] => Array.from(tf.tidy(() => tf.clone(x)).dataSync());

test('tied weights are one variable: counted, saved and stored once, learned together', async () => {
  const parameters = Parameters.random(specs, new Rng(1));
  assert.equal(parameters.get('head.weight'), parameters.get('embed.weight'));
  assert.equal(parameters.count(), 6 * 4 + 6);
  assert.deepEqual(Object.keys(parameters.variables), ['embed.weight', 'head.bias']);
  const file = path.join(scratch, 'model.safetensors');
  await writeSafetensors(file, parameters.writable());
  const stored = await readSafetensors(file);
  assert.deepEqual(Object.keys(stored).sort(), ['embed.weight', 'head.bias']);
  assert.deepEqual(Object.keys(await parameters.values()).sort(), ['embed.weight', 'head.bias']);
  // Both uses reach the one gradient.
  const ids = tf.tensor1d([2, 3], 'int32');
  const loss = (head: boolean) => () =>
    tf.sum<tf.Scalar>(head ? parameters.linear('head', parameters.embedding('embed', ids)) : parameters.embedding('embed', ids)); // prettier-ignore
  const list = Object.values(parameters.variables);
  const norms = [true, false].map((head) => {
    const { grads, value } = tf.variableGrads(loss(head), list);
    const norm = tf.norm(grads[list[0].name]).dataSync()[0];
    tf.dispose([grads, value] as tf.TensorContainer);
    return norm;
  });
  assert.ok(norms[0] > norms[1], 'the output layer adds to the gradient of the table');
  const frozen = Bf16Parameters.copy(parameters);
  assert.equal(frozen.bytes, 2 * parameters.count());
  assert.deepEqual(array(frozen.get('head.weight')), array(frozen.get('embed.weight')));
  const copy = parameters.clone();
  assert.deepEqual(array(copy.get('head.weight')), array(parameters.get('embed.weight')));
  for (const p of [frozen, copy, parameters]) p.dispose();
});

test('a file may hold them once or twice, but not two different ones', async () => {
  const parameters = Parameters.random(specs, new Rng(1));
  const once = parameters.writable();
  const values = Float32Array.from(array(parameters.get('embed.weight')));
  const head = (data: Float32Array): WritableTensor => ({ dtype: 'F32', shape: [6, 4], data });
  const file = path.join(scratch, 'twice.safetensors');
  const read = async (tensors: Record<string, WritableTensor>) => {
    await writeSafetensors(file, tensors);
    const reader = await openSafetensors(file);
    try {
      return await Parameters.read(specs, reader, file);
    } finally {
      await reader.close();
    }
  };
  for (const tensors of [once, { ...once, 'head.weight': head(values) }]) {
    const got = await read(tensors);
    assert.deepEqual(array(got.get('head.weight')), Array.from(values));
    got.dispose();
  }
  const other = values.slice();
  other[5] += 1;
  const start = tf.memory().numTensors;
  await assert.rejects(read({ ...once, 'head.weight': head(other) }), /head\.weight is tied to embed\.weight, but differs from it at 5/); // prettier-ignore
  assert.equal(tf.memory().numTensors, start);
  const raw = await readSafetensors(file);
  assert.throws(() => Parameters.fromTensors(specs, raw, file), /tied to embed\.weight, but differs/);
  parameters.dispose();
});
