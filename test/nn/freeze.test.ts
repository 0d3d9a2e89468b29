import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, Rng, tf } from '../../src/engine';
import { Bf16Storage } from '../../src/engine/bf16-storage';
import { fromBfloat16Bits, openSafetensors, toBfloat16Bits, writeSafetensors } from '../../src/io';
import { showoSpecs } from '../../src/models/showo/network';
import { Bf16Parameters, fitsPattern, trainableVariables } from '../../src/nn/freeze';
import { Parameters } from '../../src/nn/parameters';
import { trainSupervised } from '../../src/sft/loop';
import { forward, largestDifference, snapshot, TINY, tinyModel, tinyParameters, tinyTask } from './tiny-showo';

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-freeze-'));
});
after(() => rm(scratch, { recursive: true }));

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
    const parameters = tinyParameters();
    const { variables } = parameters;
    const norms = Object.keys(trainableVariables(variables, { only: [/layernorm/], frozen: ['*.bias'] }));
    assert.ok(norms.length > 4 && norms.every((name) => name.includes('layernorm') && name.endsWith('weight')));
    assert.equal(Object.keys(trainableVariables(variables, {})).length, Object.keys(variables).length);
    assert.throws(() => trainableVariables(variables, { only: ['language_model.*'] }), /no parameter fits the pattern language_model\.\*; there are showo\.model\.embed/); // prettier-ignore
    assert.throws(() => trainableVariables(variables, { frozen: ['*', /vision/] }), /fits the pattern \/vision\//);
    assert.throws(() => trainableVariables(variables, { frozen: ['*'] }), /nothing to train/);
    parameters.dispose();
  });

  it('freeze parts of a model in training: the loss falls, and they stay bit for bit', async () => {
    const model = tinyModel();
    const only = ['showo.model.layers.*', 'showo.lm_head.*'];
    const task = { ...tinyTask(model), variables: trainableVariables(model.network.parameters.variables, { only }) };
    const before = snapshot(model.network.parameters.variables);
    const losses: number[] = [];
    for await (const { loss } of trainSupervised(task, { steps: 25, seed: 1, learningRate: 5e-3 })) losses.push(loss);
    assert.ok(losses[24] < 0.7 * losses[0], `${losses[0]} became ${losses[24]}`);
    const after = snapshot(model.network.parameters.variables);
    for (const name of Object.keys(before)) {
      const moved = largestDifference(before[name], after[name]) > 0;
      assert.equal(moved, name in task.variables, name);
    }
    model.dispose();
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
          all.dataSync().forEach((v, i) => assert.ok(Object.is(v, expected[i]) || Math.abs(expected[i]) < subnormal, `${values[i]} became ${v}, expected ${expected[i]}`)); // prettier-ignore
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
    assert.equal(stored.reduce((sum, { bytes }) => sum + bytes, 0), half); // prettier-ignore
    assert.equal(tf.memory().numBytes, before);
    assert.ok(grown < 0.8 * whole, `the process grew by ${grown} bytes for ${half}`);
    for (const storage of stored) storage.dispose();
  });

  it('computes what rounded weights compute, with the same gradient, and leaks nothing', () => {
    const specs = { 'l.weight': { shape: [5, 7], init: { normal: 1 } }, 'l.bias': { shape: [5], init: { normal: 1 } } };
    const parameters = Parameters.random(specs, new Rng(3));
    const frozen = Bf16Parameters.copy(parameters);
    for (const variable of Object.values(parameters.variables)) {
      const values = tf.tensor(Array.from(variable.dataSync(), rounded), variable.shape);
      variable.assign(values);
      values.dispose();
    }
    const x = tf.tensor3d(new Rng(4).normal(42), [2, 3, 7]);
    const start = tf.memory().numTensors;
    const gradients = [parameters, frozen].map((p) =>
      tf.tidy(() => {
        const { value, grad } = tf.valueAndGrad((input) => tf.sum(tf.square(p.linear('l', input))))(x);
        return { value: Array.from(value.dataSync()), grad: Array.from(grad.dataSync()) };
      }),
    );
    assert.equal(tf.memory().numTensors, start);
    assert.ok(largestDifference(gradients[0].value, gradients[1].value) < 1e-4);
    assert.ok(largestDifference(gradients[0].grad, gradients[1].grad) < 1e-4);
    assert.throws(() => frozen.linear('l', tf.zeros([2, 6])), /l: x \[2,6\] does not fit the weight \[5,7\]/);
    assert.throws(() => frozen.get('nothing'), /no parameter 'nothing'/);
    assert.throws(() => frozen.assign(), /frozen in bfloat16/);
    assert.equal(Object.keys(frozen.variables).length, 0);
    frozen.dispose();
  });

  it('serves a whole model as its reference, copied or read from a file', async () => {
    const model = tinyModel();
    const file = path.join(scratch, 'model.safetensors');
    await writeSafetensors(file, model.network.parameters.writable('BF16'));
    const reader = await openSafetensors(file);
    const read = await Bf16Parameters.readFrozen(showoSpecs(TINY), reader, file);
    const full = await Parameters.read(showoSpecs(TINY), reader, file);
    await reader.close();
    const copied = Bf16Parameters.copy(model.network.parameters);
    const start = tf.memory().numTensors;
    const [expected, fromFile, fromCopy] = [full, read, copied].map((p) => forward(model, p));
    assert.equal(tf.memory().numTensors, start);
    assert.ok(largestDifference(expected, fromFile) < 1e-5);
    assert.deepEqual(fromCopy, fromFile);
    const apart = largestDifference(expected, forward(model));
    assert.ok(apart > 0 && apart < 0.02, `${apart}: the rounding is seen, and small`);
    const values = await copied.values();
    assert.deepEqual(Array.from(values['showo.lm_head.weight'].data), Array.from(model.network.parameters.get('showo.lm_head.weight').dataSync(), rounded)); // prettier-ignore
    for (const p of [read, full, copied]) p.dispose();
    model.dispose();
  });
});
