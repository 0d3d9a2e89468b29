import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { openSafetensors, type RawTensor, readSafetensors, type WritableTensor, writeSafetensors } from '../../src/io';
import { CheckpointMismatchError, checkShapes, type NameRules } from '../../src/nn/checkpoint-fit';
import { Linear } from '../../src/nn/layers';
import type { StorageType } from '../../src/nn/parameter-values';
import { ParamStore } from '../../src/nn/store';
import { SumWeight } from '../../src/nn/weights';
import { apart, livelyStore, logitsOf, TINY_CONFIG, TinyNetwork } from './tiny-network';

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-store-'));
});
after(() => rm(scratch, { recursive: true }));

const net = new TinyNetwork(TINY_CONFIG);
const tied = new TinyNetwork({ ...TINY_CONFIG, tied: true });
const array = (x: tf.Tensor): number[] => Array.from(tf.tidy(() => tf.clone(x)).dataSync());

async function read(
  of: TinyNetwork,
  tensors: Record<string, WritableTensor>,
  rules?: NameRules,
  dtype?: StorageType,
): Promise<ParamStore> {
  const file = path.join(scratch, 'model.safetensors');
  await writeSafetensors(file, tensors);
  const reader = await openSafetensors(file);
  try {
    return await ParamStore.read(of, reader, 'FILE', rules, dtype);
  } finally {
    await reader.close();
  }
}

describe('first values', () => {
  it('depend on the seed and the name alone', () => {
    const linear = new Linear(2, 1, { std: 0.5 });
    const store = ParamStore.random(linear, new Rng(7));
    const expected = new Rng(7)
      .split('weight')
      .normal(2)
      .map((value) => value * 0.5);
    assert.deepEqual(store.get('weight').dataSync(), expected);
    assert.deepEqual(array(store.get('bias')), [0]);
    const [one, two] = [1, 2].map((layers) =>
      ParamStore.random(new TinyNetwork({ ...TINY_CONFIG, layers }), new Rng(3)),
    );
    for (const name of one.names) assert.deepEqual(array(one.get(name)), array(two.get(name)), name);
    for (const owner of [store, one, two]) owner.dispose();
  });
});

describe('files', () => {
  it('come back as they were, one tensor at a time, as float32 or bfloat16', async () => {
    const store = livelyStore(net, new Rng(1));
    const again = await read(net, store.writable());
    for (const name of store.names) assert.deepEqual(array(again.get(name)), array(store.get(name)), name);
    const start = tf.memory().numTensors;
    const frozen = await read(net, store.writable(), {}, 'BF16');
    assert.equal(frozen.bytes, store.bytes / 2);
    assert.deepEqual(frozen.variables, {});
    const copied = store.clone('BF16');
    assert.deepEqual(logitsOf(net.with(frozen)), logitsOf(net.with(copied)));
    const rounding = apart(logitsOf(net.with(frozen)), logitsOf(net.with(store)));
    assert.ok(rounding > 0 && rounding < 0.05, `${rounding}`);
    assert.throws(() => frozen.assign({}), CheckpointMismatchError);
    for (const owner of [frozen, copied]) owner.dispose();
    assert.equal(tf.memory().numTensors, start);
    for (const owner of [again, store]) owner.dispose();
  });

  it('of another model are refused in a few lines', () => {
    const expected = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`w${i}`, { shape: [i] }]));
    assert.throws(
      () => checkShapes(expected, [['v', { shape: [3] }]], 'FILE'),
      (error: Error) => {
        const lines = error.message.split('\n  ').slice(1);
        assert.equal(lines.length, 14);
        assert.deepEqual(lines.slice(-3), ['missing: w11 [11]', '.. and 8 more like these', 'unknown: v [3]']);
        return true;
      },
    );
  });

  it('that do not fit are refused with everything that is wrong, before anything is read', async () => {
    const store = ParamStore.random(net, new Rng(1));
    const zeros = (...shape: number[]): WritableTensor => ({
      dtype: 'F32',
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    });
    const { 'layers.0.norm.bias': _, ...rest } = store.writable();
    const wrong = { ...rest, 'head.weight': zeros(4, 6), stranger: zeros(1) };
    const faults = (error: Error) => {
      assert.ok(error instanceof CheckpointMismatchError);
      const [first, ...lines] = error.message.split('\n  ');
      assert.equal(first, 'FILE does not fit this configuration:');
      const expected = [
        'head.weight: expected [6,4], found [4,6]',
        'missing: layers.0.norm.bias [4]',
        'unknown: stranger [1]',
      ];
      assert.deepEqual(lines.sort(), expected);
      return true;
    };
    const start = tf.memory().numTensors;
    await assert.rejects(read(net, wrong), faults);
    const raw = await readSafetensors(path.join(scratch, 'model.safetensors'));
    assert.throws(() => ParamStore.fromTensors(net, raw, 'FILE'), faults);
    assert.equal(tf.memory().numTensors, start);
    const renamed = Object.fromEntries(Object.entries(store.writable()).map(([name, value]) => [`m.${name}`, value]));
    const rules: NameRules = { rename: (name) => name.slice(2), ignore: (name) => name === 'm.buffer' };
    (await read(net, { ...renamed, 'm.buffer': zeros(2) }, rules)).dispose();
    await assert.rejects(
      read(net, { ...renamed, 'mm.head.bias': zeros(6) }, { rename: (name) => name.replace(/^m+\./, '') }),
      /twice, under two names: head\.bias/,
    );
    store.dispose();
  });
});

describe('tied weights', () => {
  it('are one variable: counted, saved and stored once, learned together', async () => {
    const store = livelyStore(tied, new Rng(1));
    const model = tied.with(store);
    assert.equal(store.get('head.weight'), store.get('embed.weight'));
    assert.equal(store.count() + 24, ParamStore.random(net, new Rng(1)).count());
    assert.ok(!store.names.includes('head.weight') && !('head.weight' in (await store.values())));
    const ids = tf.tensor2d([[2, 3]], [1, 2], 'int32');
    const norm = (head: boolean) => {
      const { embed } = model;
      const loss = () => tf.sum<tf.Scalar>(head ? model.head.forward(embed.forward(ids)) : embed.forward(ids));
      const { grads, value } = tf.variableGrads(loss, [store.variables['embed.weight']]);
      const size = tf.norm(Object.values(grads)[0]).dataSync()[0];
      tf.dispose([grads, value] as tf.TensorContainer);
      return size;
    };
    assert.ok(norm(true) > norm(false), 'the output layer adds to the gradient of the table');
    const copy = store.clone('BF16');
    assert.deepEqual(array(copy.get('head.weight')), array(copy.get('embed.weight')));
    for (const owner of [copy, store]) owner.dispose();
  });

  it('may stand in a file once or twice, but not with two different values', async () => {
    const store = livelyStore(tied, new Rng(1));
    const once = store.writable();
    const values = Float32Array.from(array(store.get('embed.weight')));
    const head = (data: Float32Array): WritableTensor => ({ dtype: 'F32', shape: [6, 4], data });
    for (const tensors of [once, { ...once, 'head.weight': head(values) }]) {
      const again = await read(tied, tensors);
      assert.deepEqual(array(again.get('head.weight')), Array.from(values));
      again.dispose();
    }
    const other = values.slice();
    other[5] += 1;
    const start = tf.memory().numTensors;
    const differs = /head\.weight is tied to embed\.weight, but differs from it at 5/;
    await assert.rejects(read(tied, { ...once, 'head.weight': head(other) }), differs);
    assert.equal(tf.memory().numTensors, start);
    const raw: Record<string, RawTensor> = await readSafetensors(path.join(scratch, 'model.safetensors'));
    assert.throws(() => ParamStore.fromTensors(tied, raw, 'FILE'), differs);
    store.dispose();
  });
});

describe('a store', () => {
  it('is assigned in place, whole or not at all', async () => {
    const [store, other] = [1, 2].map((seed) => livelyStore(net, new Rng(seed)));
    const variable = store.variables['head.weight'];
    const values = await other.values();
    const { 'head.bias': _, ...short } = values;
    const before = array(variable);
    assert.throws(() => store.assign({ ...short }), /missing: head\.bias \[6\]/);
    assert.deepEqual(array(variable), before);
    store.assign(values);
    assert.deepEqual(array(variable), array(other.get('head.weight')));
    const frozen = store.clone('BF16');
    assert.throws(() => frozen.assign(values), /frozen in bfloat16/);
    assert.throws(() => store.get('nothing'), /no parameter 'nothing'/);
    for (const owner of [store, other, frozen]) owner.dispose();
  });

  it('can hold a table whose rows share a part, saved as the sum; the layers do not know', async () => {
    const store = livelyStore(net, new Rng(1));
    const plain = logitsOf(net.with(store));
    // Rows 1 and 2 share one feature, the others nothing.
    const features = tf.tensor2d([0, 1, 1, 0, 0, 0], [6, 1]);
    const table = array(store.get('embed.weight'));
    const shared = store.wrapping(['embed.weight'], (weight) => SumWeight.sharedRows(weight, features));
    const model = net.with(shared);
    assert.deepEqual(logitsOf(model), plain, 'it starts as the table');
    const learned = model.variables()['embed.weight.shared'];
    tf.tidy(() => void learned.assign(tf.ones([1, 4])));
    const expected = table.map((value, i) => value + (i >= 4 && i < 12 ? 1 : 0));
    assert.ok(apart((await shared.values())['embed.weight'].data, expected) < 1e-6);
    assert.ok(apart(logitsOf(model), plain) > 0.01);
    const copy = shared.clone();
    assert.deepEqual(Object.keys(copy.variables), store.names);
    assert.ok(apart(array(copy.get('embed.weight')), expected) < 1e-6);
    for (const owner of [copy, shared]) owner.dispose();
  });
});
