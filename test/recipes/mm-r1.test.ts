import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { evaluateXcot, type XcotExample, type XcotRecord, type XcotTask } from '../../src/data/xcot';
import { Rng, startEngine, tf } from '../../src/engine';
import { RunFolder } from '../../src/io';
import { resolveOptions } from '../../src/io/options';
import type { UnifiedModel } from '../../src/models/unified';
import {
  mmR1,
  mmR1Mini,
  mmR1Options,
  type MmR1Options,
  type MmR1Setup,
  type MmR1Step,
  mmR1Variants,
  supervise,
} from '../../src/recipes/mm-r1';
import { defineReward } from '../../src/rewards';
import { StepRefusedError } from '../../src/rl';
import { tinyModel } from '../models/chameleon/fixture';
import { noiseImage, snapshot, tinyModel as tinyShowo } from '../models/showo/tiny-showo';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-mm-r1-'));
after(() => rmSync(root, { recursive: true, force: true }));
const folder = () => mkdtempSync(path.join(root, 'run-'));

const images = [1, 2, 3].map((seed) => noiseImage(8, 8, seed));

/** Numbered words; two references. */
const task: XcotTask = {
  name: 'tiny',
  sample: (rng: Rng): XcotExample => ({ id: 'a', prompt: 'w25 w26', references: [rng.pick(images)], truth: undefined }),
  record: (rng: Rng): XcotRecord => {
    const [reference, focus, target] = rng.shuffle(images);
    return { id: 'r', subject: 'w21', prompt: 'w25 w26', reference, focus, target, caption: 'w30 w31', plan: 'w32' };
  },
  evaluate: async (model, rng, options = {}) =>
    evaluateXcot(model, [await task.sample(rng), await task.sample(rng)], rng, options, {
      assess: (drawn) => Promise.resolve(drawn.map(({ image }) => ({ red: image.rgb[0] }))),
      missing: { red: 0 },
    }),
};

const brightness = defineReward('brightness', [0, 1], (samples) =>
  samples.map(({ image }) => image && tf.tidy(() => (tf.mean(image.pixels()).dataSync()[0] + 1) / 2)),
);
const evenWords = defineReward('even_words', [0, 1], (samples) =>
  samples.map(({ completion }) => {
    const words = completion.split(' ').filter(Boolean);
    return words.filter((word) => Number(word.slice(1)) % 2 === 0).length / Math.max(1, words.length);
  }),
);
const rewards = { similarity: brightness, text: evenWords };

const tinyOptions = (...more: readonly object[]): MmR1Options =>
  resolveOptions(
    mmR1Options,
    {
      steps: 2,
      groupSize: 3,
      learningRate: 1e-3,
      text: { maxNewTokens: 6 },
      image: { guidanceScale: 2 },
      coldStart: { steps: 3, batch: 2, learningRate: 1e-3 },
    },
    ...more,
  );

async function finished(setup: Partial<MmR1Setup>, options: MmR1Options, until = Infinity) {
  const model = setup.model ?? tinyModel();
  const steps: MmR1Step[] = [];
  try {
    for await (const step of mmR1({ task, rewards, ...setup, model }, options)) {
      steps.push(step);
      if (steps.length === until) break;
    }
    return { steps, weights: snapshot(model.variables()) };
  } finally {
    model.dispose();
  }
}

describe('options', () => {
  test("defaults are the paper's", () => {
    const {
      steps,
      groupSize,
      prompts,
      beta,
      weights,
      rewards: names,
      coldStart,
      structure,
    } = resolveOptions(mmR1Options);
    assert.deepEqual(
      { steps, groupSize, prompts, beta, weights, names, cold: coldStart.steps, structure },
      {
        steps: 500,
        groupSize: 8,
        prompts: 1,
        beta: 0.01,
        weights: { format: 1, similarity: 1, text: 1 },
        names: ['format', 'similarity', 'text'],
        cold: 16000,
        structure: 'free',
      },
    );
  });

  for (const [name, changes] of Object.entries(mmR1Variants))
    test(`the row ${name} is whole, under both presets`, () => {
      for (const preset of [{}, mmR1Mini]) {
        const options = resolveOptions(mmR1Options, preset, changes);
        for (const [key, value] of Object.entries(changes))
          if (typeof value !== 'object' || Array.isArray(value))
            assert.deepEqual(options[key as keyof MmR1Options], value);
      }
    });

  test('those that are wrong are named', () => {
    assert.throws(() => tinyOptions({ structure: 'by hand', rewards: [], stepz: 1 }), /structure|rewards|stepz/);
  });
});

describe('cold start', () => {
  test('the loss of an X-CoT falls; the same seed gives the same weights, another one others', async () => {
    const run = async (more: object) => {
      const model = tinyModel();
      const losses: number[] = [];
      for await (const { loss } of supervise({ model, task }, tinyOptions(more), 'cold-start')) losses.push(loss);
      const weights = snapshot(model.variables());
      model.dispose();
      return { losses, weights };
    };
    const long = { coldStart: { steps: 12, learningRate: 1e-2 } };
    const [one, same, other] = [await run(long), await run(long), await run({ ...long, seed: 2 })];
    assert.ok(one.losses[11] < one.losses[0] - 0.5, one.losses.join(' '));
    assert.deepEqual(same.weights, one.weights);
    assert.notDeepEqual(other.weights, one.weights);
  });

  test('after it, sequences of the form are what the model says', async () => {
    const model = tinyModel();
    const options = tinyOptions({ coldStart: { steps: 120, batch: 4, learningRate: 1e-2 }, steps: 1, groupSize: 6 });
    for await (const _ of supervise({ model, task }, options, 'cold-start'));
    const { steps } = await finished({ model }, options);
    assert.ok(steps[0].metrics['rewards/format/mean'] > 0.5, `${steps[0].metrics['rewards/format/mean']}`);
  });

  test('stopped and gone on with, the weights are the same bit for bit', async () => {
    const trained = async (out: string, until = Infinity) => {
      const model = tinyModel();
      let done = 0;
      for await (const _ of supervise({ model, task }, tinyOptions(), 'cold-start', out)) if (++done === until) break;
      const weights = snapshot(model.variables());
      model.dispose();
      return weights;
    };
    const whole = await trained(folder());
    const out = folder();
    await trained(out, 1);
    assert.deepEqual(await trained(out), whole);
    assert.deepEqual(await trained(out), whole, 'a finished one is put back');
  });

  test('a model that knows no sequences says so', async () => {
    const model = tinyShowo();
    assert.throws(() => supervise({ model, task }, tinyOptions(), 'cold-start'), /showo.*learn such sequences/);
    model.dispose();
  });
});

describe('reinforcement', () => {
  for (const structure of ['free', 'guided', 'direct'] as const)
    for (const imageLogProbs of ['guided', 'conditional'] as const)
      test(`${structure}, ${imageLogProbs}: learns, and the first ratio of every rollout is 1`, async () => {
        const old = tinyModel();
        const start = snapshot(old.variables());
        old.dispose();
        const before = tf.memory().numTensors;
        const { steps, weights } = await finished({}, tinyOptions({ structure, image: { imageLogProbs } }));
        assert.equal(tf.memory().numTensors, before, 'no tensor is left');
        assert.deepEqual(
          steps.map(({ step }) => step),
          [1, 2],
        );
        for (const { metrics, samples } of steps) {
          assert.equal(samples.length, 3);
          assert.ok(metrics['sampling/sampling_logp_difference/max'] < 1e-4);
          assert.ok(Object.values(metrics).every(Number.isFinite));
        }
        assert.ok(steps.some(({ metrics }) => metrics.grad_norm > 0));
        assert.ok(Object.keys(start).some((name) => start[name].some((value, i) => value !== weights[name][i])));
      });

  test('an image on the way is no result: what has one image only is scored by its form', async () => {
    const { steps } = await finished({}, tinyOptions({ steps: 4, groupSize: 4 }));
    for (const { samples, scores } of steps)
      samples.forEach(({ segments }, i) => {
        const drawn = segments.filter(({ name }) => name === 'generation').length;
        assert.equal(Number.isNaN(scores[i].parts?.brightness), drawn !== 2);
      });
  });

  test('the reward is the weighted sum of those that are named', async () => {
    const options = tinyOptions({
      structure: 'guided',
      rewards: ['format', 'text'],
      weights: { format: 2, text: 0.5 },
    });
    const { steps } = await finished({}, options);
    for (const { value, parts = {} } of steps.flatMap(({ scores }) => scores)) {
      assert.deepEqual(Object.keys(parts).sort(), ['even_words', 'format']);
      assert.ok(Math.abs(value - (2 * parts.format + 0.5 * parts.even_words)) < 1e-6);
    }
  });

  test('several prompts a step have groups of their own', async () => {
    const { steps } = await finished({}, tinyOptions({ structure: 'guided', prompts: 2 }));
    for (const { advantages, samples, examples } of steps) {
      assert.equal(samples.length, 6);
      assert.equal(new Set(examples).size, 2);
      for (const own of [advantages.slice(0, 3), advantages.slice(3)])
        assert.ok(Math.abs(own.reduce((a, b) => a + b, 0)) < 1e-5);
    }
  });

  test('stopped between steps and gone on with, weights and metrics are the same bit for bit', async () => {
    const options = tinyOptions({ steps: 3, structure: 'guided', refModelSyncSteps: 2 });
    const whole = await finished({}, options);
    const out = folder();
    const part = async (until?: number) => {
      const run = await RunFolder.open(out, options, { resume: until === undefined });
      const done = await finished({ run }, options, until);
      await run.close();
      return done;
    };
    const [first, rest] = [await part(1), await part()];
    assert.deepEqual(
      [...first.steps, ...rest.steps].map(({ metrics }) => metrics),
      whole.steps.map(({ metrics }) => metrics),
    );
    assert.deepEqual(rest.weights, whole.weights);
  });

  test('a reward that is always the same is found out, and the samples are kept', async () => {
    const flat = (name: string) => defineReward(name, [0, 1], (samples) => samples.map(() => 0));
    const options = tinyOptions({
      structure: 'direct',
      selfChecks: { warnAfterFlatGroups: null, stopAfterFlatGroups: 2 },
    });
    const out = folder();
    const run = await RunFolder.open(out, options);
    await assert.rejects(
      finished({ run, rewards: { similarity: flat('one'), text: flat('two') } }, options),
      StepRefusedError,
    );
    await run.close();
    assert.ok(existsSync(path.join(out, 'samples', 'refused-step-00000002', 'samples.json')));
  });

  test('a replay that is off stops the run', async () => {
    const model = tinyModel();
    const replay: UnifiedModel['replay'] = (transitions) =>
      tf.tidy(() => tf.add(model.replay(transitions as never), 0.5));
    const off = Object.create(model, { replay: { value: replay } }) as UnifiedModel;
    await assert.rejects(finished({ model: off }, tinyOptions({ structure: 'guided' })), /ratio/);
  });

  test('a model whose text cannot begin an image is refused', async () => {
    await assert.rejects(finished({ model: tinyShowo() }, tinyOptions()), /showo cannot begin an image.*Chameleon/);
  });
});

test('an evaluation counts what was not drawn as the worst, and says how much was drawn', async () => {
  const model = tinyModel();
  const free = await task.evaluate(model, new Rng(1), { text: { maxNewTokens: 1 } });
  assert.deepEqual(free.metrics, { red: 0, drawn: 0 });
  const direct = await task.evaluate(model, new Rng(1), { structure: 'direct' });
  assert.equal(direct.metrics.drawn, 1);
  assert.ok(direct.items.every(({ image, reference }) => image && reference));
  model.dispose();
});
