import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startEngine, tf } from '../../src/engine';
import { RunFolder } from '../../src/io';
import { resolveOptions } from '../../src/io/options';
import {
  corl,
  corlMini,
  type CorlOptions,
  corlOptions,
  type CorlSetup,
  type CorlStage,
  corlStages,
  type CorlStep,
} from '../../src/recipes/corl';
import { defineReward } from '../../src/rewards';
import { groupAdvantages, StepRefusedError } from '../../src/rl';
import { snapshot } from '../models/showo/tiny-showo';
import { backbones } from './tiny-task';
import { tinyCorlOptions, tinyCorlRewards, tinyCorlTask } from './tiny-corl';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-corl-'));
after(() => rmSync(root, { recursive: true, force: true }));

async function setupOf(more: Partial<CorlSetup> = {}): Promise<CorlSetup> {
  return { model: await backbones.janus(), task: tinyCorlTask, rewards: tinyCorlRewards, ...more };
}

/** Runs to the end, or until so many steps are done; the model is gone then. */
async function finished(setup: CorlSetup, options: CorlOptions, until = Infinity) {
  const steps: CorlStep[] = [];
  try {
    for await (const step of corl(setup, options)) {
      steps.push(step);
      if (steps.length === until) break;
    }
    return { steps, weights: snapshot(setup.model.variables()) };
  } finally {
    setup.model.dispose();
  }
}

const changed = (a: Record<string, Float32Array>, b: Record<string, Float32Array>) =>
  Object.keys(a).some((name) => a[name].some((value, i) => value !== b[name][i]));

describe('options', () => {
  test("defaults are the paper's, stage by stage (Table 5)", () => {
    const of = (stage: CorlStage) => {
      const { groupSize, beta, batchSize, learningRate, outputs, weights, text } = resolveOptions(
        corlOptions,
        corlStages[stage],
      );
      return [groupSize, beta, batchSize, learningRate, outputs, weights.lambda, text.maxNewTokens];
    };
    assert.deepEqual(of('unified'), [8, 0, 16, 4e-6, 'both', 0.8, 512]);
    assert.deepEqual(of('t2i'), [16, 0.02, 16, 1e-6, 'image', 0.8, 512]);
    assert.deepEqual(of('mcq'), [16, 0.02, 32, 1e-6, 'text', 1, 512]);
    assert.deepEqual(of('open'), [16, 0.02, 32, 1e-6, 'text', 1, 512]);
    const { surrogate, importanceSamplingLevel, advantages, image } = resolveOptions(corlOptions);
    assert.deepEqual(
      [surrogate, importanceSamplingLevel, advantages, image.guidanceScale, image.imageLogProbs],
      ['none', 'token', 'joint', 5, 'conditional'],
    );
  });

  test('the mini preset goes over every stage', () => {
    for (const stage of Object.values(corlStages)) {
      const { groupSize, batchSize, beta } = resolveOptions(corlOptions, stage, corlMini);
      assert.deepEqual([groupSize, batchSize, beta], [8, 4, 'beta' in stage ? 0.02 : 0]);
    }
  });
});

describe('unified', () => {
  test('R is cycle + TIM + 0.8 (accuracy + format), z-scored in its group, for both outputs', async () => {
    const { steps } = await finished(await setupOf(), tinyCorlOptions());
    for (const { samples, scores, advantages, metrics, examples } of steps) {
      assert.deepEqual([samples.length, examples.length], [6, 2]);
      scores.forEach(({ value, parts = {} }) => {
        const { brightness, red, even, short } = parts;
        assert.ok(Math.abs(value - (brightness + red + 0.8 * (even + short))) < 1e-6);
      });
      const values = scores.map(({ value }) => value);
      const groups = [values.slice(0, 3), values.slice(3)];
      assert.deepEqual(advantages, groupAdvantages('grpo', groups).advantages);
      assert.ok(samples.slice(0, 3).every(({ example }) => example === examples[0]));
      assert.ok(
        samples.every(({ segments }) => segments.map(({ name }) => name).join() === 'understanding,generation'),
      );
      assert.ok(metrics['sampling/sampling_logp_difference/max'] < 1e-4);
      assert.ok(metrics.grad_norm > 0 && Object.values(metrics).every(Number.isFinite));
      assert.ok(!('kl' in metrics));
    }
  });

  test('how many members are sampled together changes nothing but speed', async () => {
    const [one, other] = [
      await finished(await setupOf(), tinyCorlOptions({ steps: 1 })),
      await finished(await setupOf(), tinyCorlOptions({ steps: 1, rows: 2 })),
    ];
    const texts = ({ steps }: typeof one) => steps[0].samples.map(({ answer }) => answer?.text);
    const codes = ({ steps }: typeof one) => steps[0].samples.map(({ image }) => [...(image?.codes ?? [])]);
    assert.deepEqual([texts(one), codes(one)], [texts(other), codes(other)]);
  });

  test('separate advantages: each output by its own rewards', async () => {
    const { steps } = await finished(await setupOf(), tinyCorlOptions({ advantages: 'separate' }));
    for (const { scores, advantages } of steps) {
      const of = (sum: (parts: Readonly<Record<string, number>>) => number) => {
        const values = scores.map(({ parts = {} }) => sum(parts));
        return groupAdvantages('grpo', [values.slice(0, 3), values.slice(3)]).advantages;
      };
      const near = (a: readonly number[], b: readonly number[]) =>
        a.forEach((value, i) => assert.ok(Math.abs(value - b[i]) < 1e-4));
      assert.ok('understanding' in advantages);
      near(
        advantages.understanding,
        of(({ even, short }) => 0.8 * (even + short)),
      );
      near(
        advantages.generation,
        of(({ brightness, red }) => brightness + red),
      );
    }
  });
});

describe('stages and ablations', () => {
  const cases: Record<string, { more: object; parts: string[] }> = {
    'drawing alone': { more: { outputs: 'image', beta: 0.02 }, parts: ['brightness', 'red'] },
    'answering alone': { more: { outputs: 'text', beta: 0.02, weights: { lambda: 1 } }, parts: ['even', 'short'] },
    'without R_TIM (Table 4)': { more: { outputs: 'image', weights: { tim: 0 } }, parts: ['brightness'] },
    'without R_cycle (Table 4)': { more: { outputs: 'image', weights: { cycle: 0 } }, parts: ['red'] },
    'one ratio a sequence': {
      more: { importanceSamplingLevel: 'sequence' },
      parts: ['brightness', 'even', 'red', 'short'],
    },
  };
  for (const [name, { more, parts }] of Object.entries(cases))
    test(name, async () => {
      const setup = await setupOf();
      const old = snapshot(setup.model.variables());
      const options = tinyCorlOptions(more);
      const { steps, weights } = await finished(setup, options);
      for (const { scores, samples, metrics } of steps) {
        assert.deepEqual(Object.keys(scores[0].parts ?? {}).sort(), parts);
        assert.equal(samples[0].image === undefined, options.outputs === 'text');
        assert.equal(samples[0].answer === undefined, options.outputs === 'image');
        assert.equal('kl' in metrics, options.beta > 0);
        assert.ok(metrics.grad_norm > 0);
      }
      assert.ok(changed(old, weights));
    });

  test('cycle RL: images and answers in turn', async () => {
    const options = tinyCorlOptions({ outputs: 'alternate', alternateEvery: 2, steps: 5 });
    const { steps } = await finished(await setupOf(), options);
    const kinds = steps.map(({ samples: [{ image }] }) => (image ? 'image' : 'text'));
    assert.deepEqual(kinds, ['image', 'image', 'text', 'text', 'image']);
  });
});

describe('on other backbones', () => {
  for (const backbone of ['showo', 'chameleon'] as const)
    test(`${backbone} learns in the same words`, async () => {
      const side = 8;
      const image = { width: side, height: side, rgb: new Uint8Array(side * side * 3).fill(90) };
      const task = {
        ...tinyCorlTask,
        sample: async (...given: Parameters<typeof tinyCorlTask.sample>) => {
          const example = await tinyCorlTask.sample(...given);
          return { ...example, references: [image], question: [image, example.truth.problem] };
        },
      };
      const setup = await setupOf({ model: await backbones[backbone](), task });
      const { steps } = await finished(setup, tinyCorlOptions({ steps: 1 }));
      assert.ok(steps[0].metrics.grad_norm > 0);
    });
});

describe('runs', () => {
  test('stopped between steps and gone on with, the weights and metrics are the same bit for bit', async () => {
    const options = tinyCorlOptions({ steps: 4, beta: 0.02 });
    const whole = await finished(await setupOf(), options);
    const out = path.join(root, 'resumed');
    const part = async (until?: number) => {
      const run = await RunFolder.open(out, options, { resume: until === undefined });
      const done = await finished(await setupOf({ run }), options, until);
      await run.close();
      return done;
    };
    const first = await part(2);
    const rest = await part();
    assert.deepEqual(
      [...first.steps, ...rest.steps].map(({ metrics }) => metrics),
      whole.steps.map(({ metrics }) => metrics),
    );
    assert.deepEqual(rest.weights, whole.weights);
  });

  test('what one reward could not score is left out of the sum, and counted', async () => {
    const tim = defineReward('sometimes', [0, 1], (samples) => samples.map((_, i) => (i === 0 ? NaN : 0.5)));
    const { steps } = await finished(await setupOf({ rewards: { ...tinyCorlRewards, tim } }), tinyCorlOptions());
    for (const { metrics, scores } of steps) {
      assert.equal(metrics['rewards/sometimes/failed'], 1);
      assert.ok(scores.every(({ value }) => Number.isFinite(value)));
      assert.match(scores[0].reason ?? '', /sometimes/);
    }
  });

  test('a reward that is always the same is found out', async () => {
    const flat = defineReward('flat', [0, 1], (samples) => samples.map(() => 0));
    const rewards = { cycle: flat, tim: flat, accuracy: flat, format: flat };
    const options = tinyCorlOptions({
      steps: 9,
      outputs: 'text',
      weights: { cycle: 0, tim: 0 },
      selfChecks: { warnAfterFlatGroups: null, stopAfterFlatGroups: 3 },
    });
    const named = { ...rewards, format: defineReward('flat_too', [0, 1], (samples) => samples.map(() => 0)) };
    await assert.rejects(finished(await setupOf({ rewards: named }), options), StepRefusedError);
  });

  test('steps leave no tensor behind, nor does a reward that throws', async () => {
    const setup = await setupOf();
    const held: number[] = [];
    for await (const _ of corl(setup, tinyCorlOptions({ steps: 12 }))) held.push(tf.memory().numTensors);
    assert.deepEqual(new Set(held.slice(4)), new Set([held[4]]));
    setup.model.dispose();
    const wrong = defineReward('wrong', [0, 1], ({ length }) => Array<number>(length + 1).fill(0));
    const before = tf.memory().numTensors;
    const broken = await setupOf({ rewards: { ...tinyCorlRewards, tim: wrong } });
    await assert.rejects(finished(broken, tinyCorlOptions()), /7 scores for 6/);
    assert.equal(tf.memory().numTensors, before);
  });
});
