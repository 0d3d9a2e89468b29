/** Adapters and gradient checkpointing on every backbone: one contract. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readValues, Rng, startEngine, tf } from '../../src/engine';
import { resolveOptions } from '../../src/io/options';
import type { AdaptableModel } from '../../src/models/abilities';
import { adapt, adaptationShape, keepAdapters, storageOf } from '../../src/models/adaptation';
import { ChameleonModel } from '../../src/models/chameleon/model';
import { JanusModel } from '../../src/models/janus/model';
import { ShowoModel } from '../../src/models/showo/model';
import type { PersonalizableModel, UnifiedModel } from '../../src/models/unified';
import { loadAdapters } from '../../src/nn/adapter-files';
import type { Module } from '../../src/nn/module';
import * as z from 'zod';
import { WORDS } from './janus/fixture';
import { backbones } from '../recipes/tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-adaptable-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

type Backbone = keyof typeof backbones;
type Tiny = AdaptableModel & PersonalizableModel & { readonly layers: Module };

const NAMES = Object.keys(backbones) as Backbone[];
/** Width of the model, and how many layers of the language model are in `ATTENTION` of each. */
const tiny = (name: Backbone) => backbones[name]() as unknown as Promise<Tiny>;

/** Tests load without a tokenizer's file where the fixture has none. */
const load = (name: Backbone, folder: string, dtype: 'F32' | 'BF16' = 'F32'): Promise<UnifiedModel> =>
  name === 'janus'
    ? JanusModel.fromPretrained(folder, { tokenizer: WORDS, dtype })
    : { showo: ShowoModel, chameleon: ChameleonModel }[name].fromPretrained(folder, { dtype });

const ASKED = [{ task: 'understand', parts: ['w25 w26'], answer: 'w27 w28' }] as const;

const lossOf = (model: UnifiedModel) => readValues(() => model.supervisedLoss(ASKED, new Rng(1)))[0];

function gradientsOf(model: UnifiedModel): Record<string, Float32Array> {
  const variables = model.variables();
  const { value, grads } = tf.variableGrads(
    () => model.supervisedLoss(ASKED, new Rng(1)),
    Object.values(variables).filter(({ name }) => name !== ''),
  );
  const read = Object.entries(variables).map(([name, { name: own }]) => {
    const gradient = (grads as Partial<typeof grads>)[own];
    return [name, gradient ? readValues(() => tf.clone(gradient)) : new Float32Array(0)] as const;
  });
  tf.dispose([value, grads] as tf.TensorContainer);
  return Object.fromEntries(read);
}

/** B begins at 0: these change something. */
function move(model: UnifiedModel, seed = 3): void {
  for (const [name, variable] of Object.entries(model.variables()))
    if (name.endsWith('lora_B.weight'))
      tf.tidy(() => variable.assign(tf.tensor(new Rng(seed).split(name).normal(variable.size), variable.shape)));
}

/** Largest distance; the weights of the fixtures are of several sizes. */
const near = (a: number, b: number, tolerance = 1e-4) => assert.ok(Math.abs(a - b) < tolerance, `${a} is not ${b}`);

for (const name of NAMES)
  describe(name, () => {
    test("fresh adapters go around the language model's attention, change nothing, and learn alone", async () => {
      const start = tf.memory().numTensors;
      const model = await tiny(name);
      assert.equal(model.adapters, undefined);
      const plain = lossOf(model);
      model.addAdapters({ rank: 2 }, new Rng(2));
      assert.equal(lossOf(model), plain);
      const names = Object.keys(model.variables());
      assert.ok(names.length === 2 * 4 * 2, `four projections in each of two layers: ${names.join(' ')}`);
      assert.ok(names.every((one) => /(layers\.\d+\.self_attn\.([qkvo]_proj|dense))\.lora_[AB]\.weight$/.test(one)));
      assert.ok(!names.some((one) => one.includes('vision')));
      assert.throws(() => model.addAdapters({ rank: 2 }, new Rng(2)), /adapters already/);
      const gradients = gradientsOf(model);
      for (const one of names)
        assert.equal(
          gradients[one].some((value) => value !== 0),
          one.includes('lora_B'),
          one,
        );
      model.dispose();
      assert.equal(tf.memory().numTensors, start);
    });

    test('a frozen copy shares the base, keeps the adapters of its time, and can follow', async () => {
      const model = await tiny(name);
      const plain = lossOf(model);
      model.addAdapters({ rank: 2 }, new Rng(2));
      const held = tf.memory().numTensors;
      const first = model.frozenCopy('BF16');
      assert.equal(
        tf.memory().numTensors - held,
        Object.keys(model.variables()).length,
        'the adapters alone are copied',
      );
      move(model);
      const moved = lossOf(model);
      assert.ok(Math.abs(moved - plain) > 1e-4);
      assert.equal(lossOf(first), plain);
      const later = model.frozenCopy('F32', true);
      assert.equal(lossOf(later), moved);
      assert.deepEqual(Object.keys(later.variables()), Object.keys(model.variables()));
      assert.deepEqual(first.variables(), {});
      move(model, 4);
      assert.equal(lossOf(later), moved);
      for (const copy of [first, later]) copy.dispose();
      assert.ok(Number.isFinite(lossOf(model)), 'what it shared is still there');
      model.dispose();
    });

    test('blocks that are computed again give the same gradients, with adapters and a subject', async () => {
      const model = await tiny(name);
      model.addConceptTokens({ initializer: 'w25', understanding: 2, generation: 1 }, new Rng(3));
      for (const adapted of [false, true]) {
        if (adapted) {
          model.addAdapters({ rank: 2 }, new Rng(4));
          move(model);
        }
        model.gradientCheckpointing = false;
        const plain = gradientsOf(model);
        model.gradientCheckpointing = true;
        const again = gradientsOf(model);
        for (const [one, values] of Object.entries(plain)) {
          assert.equal(again[one].length, values.length, one);
          values.forEach((value, i) => near(again[one][i], value, 1e-5 + 1e-4 * Math.abs(value)));
        }
      }
      model.dispose();
    });

    test('saved, it is the sum; its adapters alone fit the base again; a base in bfloat16 takes adapters', async () => {
      const model = await tiny(name);
      const [base, sum, run] = ['base', 'sum', 'run'].map((place) => path.join(scratch, name, place));
      await model.savePretrained(base, { dtype: 'F32' });
      await keepAdapters(model, run);
      model.addAdapters({ rank: 2, alpha: 4 }, new Rng(2));
      move(model);
      const moved = lossOf(model);
      await model.savePretrained(sum, { dtype: 'F32' });
      await keepAdapters(model, run);
      model.dispose();
      const whole = await load(name, sum);
      near(lossOf(whole), moved);
      whole.dispose();
      for (const dtype of ['F32', 'BF16'] as const) {
        const again = (await load(name, base, dtype)) as unknown as Tiny & { attachAdapters(lora: unknown): void };
        assert.equal(Object.keys(again.variables()).length === 0, dtype === 'BF16');
        again.attachAdapters(await loadAdapters(again.layers, path.join(run, 'adapters')));
        near(lossOf(again), moved, dtype === 'F32' ? 1e-4 : 0.15);
        assert.ok(Object.keys(again.variables()).every((one) => /lora_[AB]/.test(one)));
        again.dispose();
      }
    });

    test("a subject's tokens are saved and loaded with the model: the same answers, images and words", async () => {
      const folder = path.join(scratch, name, 'subject');
      const model = await tiny(name);
      const rows = model.addConceptTokens(
        { placeholder: '<me>', initializer: 'w25', understanding: 2, generation: 1 },
        new Rng(3),
      );
      const drawn = (one: UnifiedModel) =>
        one.imageSampler([{ prompt: one.prompt(['w26 <me>'], 'generate'), rng: new Rng(5) }]).finish()[0];
      const asked = (one: UnifiedModel) =>
        readValues(() =>
          one.supervisedLoss([{ task: 'understand', parts: ['w25 <me>'], answer: 'w27 <me>' }], new Rng(1)),
        )[0];
      const [image, loss] = [drawn(model), asked(model)];
      await model.savePretrained(folder, { dtype: 'F32' });
      const again = (await load(name, folder)) as PersonalizableModel;
      assert.equal(asked(again), loss);
      const [before, after] = [image.transitions, drawn(again).transitions].map((list) => list.map((t) => t.logProbs));
      assert.deepEqual(after, before);
      for (const row of Object.values(rows) as string[])
        assert.deepEqual(again.variables()[row].dataSync(), model.variables()[row].dataSync());
      assert.throws(() => again.addConceptTokens({ initializer: 'w25' }, new Rng(1)), /already/);
      again.removeConceptTokens();
      await again.savePretrained(folder, { dtype: 'F32' });
      const plain = (await load(name, folder)) as PersonalizableModel;
      assert.ok(!(rows.embed in plain.variables()), 'what the folder had of a subject is gone with it');
      for (const one of [model, again, plain]) one.dispose();
    });
  });

describe('options', () => {
  const schema = z.strictObject(adaptationShape);

  test('off by default; adapters ask for a base in bfloat16', async () => {
    const off = resolveOptions(schema, {});
    assert.deepEqual(off.adapters, { enabled: false, rank: 8, alpha: null, targets: null, base: 'BF16' });
    assert.equal(off.gradientCheckpointing, false);
    const model = await tiny('showo');
    adapt(model, off, new Rng(1));
    assert.equal(model.adapters, undefined);
    const on = resolveOptions(schema, ['adapters.enabled=true', 'adapters.targets=["fc1"]', 'adapters.rank=3']);
    assert.deepEqual([storageOf(off), storageOf(on)], ['F32', 'BF16']);
    adapt(model, on, new Rng(1));
    const shapes = Object.values(model.variables()).map(({ shape }) => shape);
    assert.deepEqual(shapes, [
      [3, 32],
      [64, 3],
      [3, 32],
      [64, 3],
    ]);
    model.dispose();
  });

  test('a model that can do neither is said to', () => {
    const model = { modelType: 'other' } as UnifiedModel;
    const on = resolveOptions(schema, ['gradientCheckpointing=true']);
    assert.throws(() => adapt(model, on, new Rng(1)), /other has neither adapters nor gradient checkpointing/);
  });
});
