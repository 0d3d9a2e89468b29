import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, Rng, tf } from '../../src/engine';
import { Bf16Storage } from '../../src/engine/bf16-storage';
import { fromBfloat16Bits, toBfloat16Bits } from '../../src/io';
import { fitsPattern, trainableVariables } from '../../src/nn/freeze';
import { Linear } from '../../src/nn/layers';
import { trainSupervised } from '../../src/sft/loop';
import { apart, livelyStore, TINY_CONFIG, TINY_IDS, TinyNetwork } from './tiny-network';

before(() => startEngine({ precision: 'float32', quiet: true }));

/** As bfloat16 keeps it. */
const rounded = (value: number): number => fromBfloat16Bits(toBfloat16Bits(value));

describe('patterns', () => {
  it('are whole names with stars, or regular expressions', () => {
    assert.ok(fitsPattern('language_model.*', 'language_model.layers.0.weight'));
    assert.ok(!fitsPattern('language_model.*', 'old.language_model.x'));
    assert.ok(!fitsPattern('a.b', 'axb'), 'a dot is a dot');
    assert.ok(fitsPattern('*.layers.*.bias', 'showo.model.layers.11.mlp.fc1.bias'));
    assert.ok(fitsPattern(/fc[12]\.bias$/, 'showo.model.layers.11.mlp.fc1.bias'));
    const global = /bias/g;
    assert.ok(fitsPattern(global, 'bias') && fitsPattern(global, 'bias'), 'a pattern has no memory');
    fc.assert(fc.property(fc.string(), (name) => fitsPattern(name.replaceAll('*', 'x'), name.replaceAll('*', 'x'))));
  });

  it('choose what learns; one that fits nothing, or leaves nothing, is an error', () => {
    const store = livelyStore(new TinyNetwork(TINY_CONFIG), new Rng(1));
    const { variables } = store;
    const norms = Object.keys(trainableVariables(variables, { only: [/norm/], frozen: ['*.bias'] }));
    assert.deepEqual(norms, ['layers.0.norm.weight', 'layers.1.norm.weight']);
    assert.equal(Object.keys(trainableVariables(variables, {})).length, Object.keys(variables).length);
    const missing = () => trainableVariables(variables, { only: ['language_model.*'] });
    assert.throws(missing, /no parameter fits the pattern language_model\.\*; there are embed/);
    assert.throws(() => trainableVariables(variables, { frozen: ['*', /vision/] }), /fits the pattern \/vision\//);
    assert.throws(() => trainableVariables(variables, { frozen: ['*'] }), /nothing to train/);
    store.dispose();
  });

  it('freeze parts of a model in training: the loss falls, and they stay bit for bit', async () => {
    const net = new TinyNetwork(TINY_CONFIG);
    const store = livelyStore(net, new Rng(1));
    const model = net.with(store);
    const variables = trainableVariables(store.variables, { only: ['layers.*', 'head.*'] });
    const task = {
      name: 'tiny',
      variables,
      batch: () => tf.tensor2d(TINY_IDS.flat(), [2, 3], 'int32'),
      loss: (ids: tf.Tensor2D) => ({
        loss: tf.mean<tf.Scalar>(tf.square(tf.sub(model.forward(ids), 1))),
        metrics: {},
      }),
    };
    const before = await store.values();
    const losses: number[] = [];
    for await (const { loss } of trainSupervised(task, { steps: 25, seed: 1, learningRate: 3e-2 })) losses.push(loss);
    assert.ok(losses[24] < 0.7 * losses[0], `${losses[0]} became ${losses[24]}`);
    const after = await store.values();
    for (const name of store.names)
      assert.equal(apart(before[name].data, after[name].data) > 0, name in variables, name);
    store.dispose();
  });
});

describe('bfloat16 storage', () => {
  for (const engine of ['the engine at hand', 'cpu']) {
    it(`gives every number back rounded to nearest even, whole or row by row: ${engine}`, async () => {
      const own = tf.getBackend();
      if (engine === 'cpu') await tf.setBackend(engine);
      const special = [0, -0, NaN, Infinity, -Infinity, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4028234663852886e38, 1e-40];
      fc.assert(
        fc.property(fc.array(fc.float(), { minLength: 1, maxLength: 30 }), (given) => {
          const values = [...given, ...special];
          const source = tf.tensor2d(values, [values.length, 1]);
          const storage = Bf16Storage.of(source);
          const all = storage.float32();
          const ids = tf.tensor2d([values.length - 1, 0], [1, 2], 'int32');
          const rows = storage.rows(ids);
          assert.deepEqual(rows.shape, [1, 2, 1]);
          const expected = values.map((v) => rounded(v));
          // Engines differ in numbers below the smallest normal one only.
          const subnormal = 2 ** -126;
          all
            .dataSync()
            .forEach((v, i) =>
              assert.ok(
                Object.is(v, expected[i]) || Math.abs(expected[i]) < subnormal,
                `${values[i]} became ${v}, expected ${expected[i]}`,
              ),
            );
          assert.ok(Object.is(rows.dataSync()[1], expected[0]) || Math.abs(expected[0]) < subnormal);
          tf.dispose([source, all, ids, rows]);
          storage.dispose();
        }),
        { numRuns: 30 },
      );
      await tf.setBackend(own);
    });
  }

  it('takes half the memory of float32, in tensors and in the process', () => {
    const [pieces, count] = [12, 4_000_000];
    const before = tf.memory().numBytes;
    const start = process.memoryUsage().rss;
    // Piece by piece, as a checkpoint is read: the engine keeps what it once took, and gives it out again.
    const stored = Array.from({ length: pieces }, () => {
      const full = tf.tidy(() => tf.tile(tf.fill([1000], 1 / 3), [count / 1000]));
      const storage = Bf16Storage.of(full);
      full.dispose();
      return storage;
    });
    const grown = process.memoryUsage().rss - start;
    const [half, whole] = [2 * count * pieces, 4 * count * pieces];
    assert.equal(
      stored.reduce((sum, { bytes }) => sum + bytes, 0),
      half,
    );
    assert.equal(tf.memory().numBytes, before);
    assert.ok(grown < 0.8 * whole, `the process grew by ${grown} bytes for ${half}`);
    for (const storage of stored) storage.dispose();
  });

  it('computes what rounded weights compute, with the same gradient, and leaks nothing', () => {
    const linear = new Linear(7, 5);
    const store = livelyStore(linear, new Rng(3), 1);
    const frozen = store.clone('BF16');
    for (const variable of Object.values(store.variables)) {
      const values = tf.tensor(Array.from(variable.dataSync(), rounded), variable.shape);
      variable.assign(values);
      values.dispose();
    }
    const x = tf.tensor3d(new Rng(4).normal(42), [2, 3, 7]);
    const start = tf.memory().numTensors;
    const gradients = [store, frozen].map((numbers) =>
      tf.tidy(() => {
        const layer = linear.with(numbers);
        const { value, grad } = tf.valueAndGrad((input) => tf.sum(tf.square(layer.forward(input))))(x);
        return { value: Array.from(value.dataSync()), grad: Array.from(grad.dataSync()) };
      }),
    );
    assert.equal(tf.memory().numTensors, start);
    assert.ok(apart(gradients[0].value, gradients[1].value) < 1e-4);
    assert.ok(apart(gradients[0].grad, gradients[1].grad) < 1e-4);
    assert.throws(() => linear.with(frozen).forward(tf.zeros([2, 6])), /x \[2,6\] does not fit the weight \[5,7\]/);
    assert.equal(Object.keys(frozen.variables).length, 0);
    assert.equal(frozen.bytes, 2 * store.count());
    for (const owner of [frozen, store]) owner.dispose();
    x.dispose();
  });
});
