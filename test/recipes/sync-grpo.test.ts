import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { startEngine, tf } from '../../src/engine';
import type { SubjectTruth } from '../../src/data/personalization';
import { type Run, RunFolder } from '../../src/io';
import { resolveOptions } from '../../src/io/options';
import type { UnifiedModel } from '../../src/models/unified';
import {
  syncGrpo,
  syncGrpoMini,
  type SyncGrpoOptions,
  syncGrpoOptions,
  syncGrpoWeights,
  type SyncGrpoSetup,
  type SyncGrpoStep,
} from '../../src/recipes/sync-grpo';
import { defineReward, tierReward } from '../../src/rewards';
import { StepRefusedError } from '../../src/rl';
import { snapshot } from '../models/showo/tiny-showo';
import { backbones, brightness, evenWords, tinyOptions, tinyRewards, tinyTask } from './tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-sync-grpo-'));
after(() => rmSync(root, { recursive: true, force: true }));

const folder = () => mkdtempSync(path.join(root, 'run-'));

async function setupOf(
  backbone: keyof typeof backbones = 'showo',
  more: Partial<SyncGrpoSetup> = {},
): Promise<SyncGrpoSetup> {
  const model = await backbones[backbone]();
  return { model, task: tinyTask(backbone), rewards: tinyRewards, judge: brightness, ...more };
}

interface Finished {
  readonly steps: readonly SyncGrpoStep[];
  readonly weights: Readonly<Record<string, Float32Array>>;
}

/** Runs to the end, or until so many steps are done; the model is gone then. */
async function finished(setup: SyncGrpoSetup, options: SyncGrpoOptions, until = Infinity): Promise<Finished> {
  const steps: SyncGrpoStep[] = [];
  try {
    for await (const step of syncGrpo(setup, options)) {
      steps.push(step);
      if (steps.length === until) break;
    }
    return { steps, weights: snapshot(setup.model.variables()) };
  } finally {
    setup.model.dispose();
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The model, but every replayed log-prob is off. */
function misreplaying(model: UnifiedModel): UnifiedModel {
  const replay: UnifiedModel['replay'] = (transitions) => tf.tidy(() => tf.add(model.replay(transitions), 0.5));
  return Object.create(model, { replay: { value: replay } }) as UnifiedModel;
}

/** `{ a: { b: 1 } }` as `{ 'a.b': 1 }`. */
function flat(options: object, path = ''): Record<string, unknown> {
  return Object.assign(
    {},
    ...Object.entries(options).map(([key, value]: [string, unknown]) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? flat(value, `${path}${key}.`)
        : { [path + key]: value },
    ),
  ) as Record<string, unknown>;
}

describe('options', () => {
  test("defaults are the paper's", () => {
    const all = flat(resolveOptions(syncGrpoOptions));
    const printed = {
      steps: 100,
      groupSize: 9,
      learningRate: 1e-6,
      subjectLearningRate: 1e-6,
      beta: 0.01,
      kl: 'k3',
      epsilon: 0.2,
      epsilonHigh: 0.2,
      aggregation: 'seq-mean-token-sum',
      numIterations: 1,
      'segmentWeights.understanding': 0.4,
      'segmentWeights.generation': 0.6,
      'text.maxNewTokens': 64,
      'image.steps': 50,
      'image.guidanceScale': 6,
      'image.imageLogProbs': 'guided',
      'image.scored': 'all',
      'dsog.enabled': true,
      'dsog.probeShare': 0.2,
      'dsog.targetPassRate': 0.25,
      'dsog.mu': 0.12,
      'dsog.eta': 0.8,
      'dsog.eps0': 2,
      'subject.understanding': 16,
      'subject.generation': 8,
      'subject.initialization': 'two_stage',
      'subject.epochs': 15,
      'subject.learningRate': 1e-3,
      'subject.understandingBatch': 4,
      'subject.generationBatch': 1,
    };
    for (const [name, value] of Object.entries(printed)) assert.deepEqual(all[name], value, name);
    assert.deepEqual(all.pathways, ['via', 'tia']);
  });

  test('the mini preset differs in these alone', () => {
    const [paper, mini] = [flat(resolveOptions(syncGrpoOptions)), flat(resolveOptions(syncGrpoOptions, syncGrpoMini))];
    const changed = Object.entries(mini).filter(([name, value]) => !isDeepStrictEqual(value, paper[name]));
    assert.deepEqual(Object.fromEntries(changed), {
      steps: 30,
      aggregation: 'segment-mean',
      learningRate: 1e-4,
      weightDecay: 0,
      subjectLearningRate: 3e-3,
      'text.maxNewTokens': 6,
      'image.steps': 8,
      'image.guidanceScale': 3,
      'image.scored': 'unmasked',
      'dsog.batch': 18,
      'subject.understanding': 4,
      'subject.generation': 2,
      'subject.steps': 100,
      'subject.learningRate': 1e-2,
      'subject.generationBatch': 6,
    });
  });

  test('weights of the rewards are those of Sec. 3.3, and sum to 1', () => {
    assert.deepEqual(syncGrpoWeights.person, { tier: 0.4, ber: 0.2, der: 0.2, fer: 0.2 });
    assert.deepEqual(syncGrpoWeights.animal, { tier: 0.4, ber: 0.3, der: 0.3, fer: 0 });
    assert.deepEqual(syncGrpoWeights.object, { tier: 0.4, ber: 0.3, der: 0.3, fer: 0 });
  });
});

describe('on every backbone', () => {
  for (const backbone of ['showo', 'janus', 'chameleon'] as const)
    for (const imageLogProbs of ['guided', 'conditional'] as const)
      test(`${backbone}, ${imageLogProbs}: learns, and the first ratio of every rollout is 1`, async () => {
        const setup = await setupOf(backbone);
        const old = snapshot(setup.model.variables());
        const dsog = { enabled: backbone === 'showo' };
        const { steps, weights } = await finished(setup, tinyOptions({ image: { imageLogProbs }, dsog }));
        assert.deepEqual(
          steps.map(({ step }) => step),
          [1, 2],
        );
        for (const { metrics, samples, advantages } of steps) {
          assert.equal(samples.length, 3);
          assert.ok(Math.abs(mean(advantages)) < 1e-6);
          assert.ok(metrics['sampling/sampling_logp_difference/max'] < 1e-4);
          assert.ok(metrics.grad_norm > 0 && Object.values(metrics).every(Number.isFinite));
        }
        assert.ok(steps[0].metrics.kl < 1e-6, 'the reference is what the run starts from');
        assert.ok(Object.keys(old).some((name) => old[name].some((value, i) => value !== weights[name][i])));
      });

  for (const backbone of ['showo', 'janus', 'chameleon'] as const)
    test(`${backbone}: a reference that follows at every step is what the next step starts from`, async () => {
      const follows = { refModelSyncSteps: 1, refModelMixupAlpha: 1, dsog: { enabled: false }, steps: 3 };
      const stands = { ...follows, refModelSyncSteps: null };
      const klOf = async (more: object) => {
        const { steps } = await finished(await setupOf(backbone), tinyOptions(more));
        return steps.map(({ metrics }) => metrics.kl);
      };
      const [near, far] = [await klOf(follows), await klOf(stands)];
      assert.ok(Math.max(...near) < 1e-6, `${near}`);
      assert.ok(far[2] > 1e-4, `${far}`);
    });

  for (const backbone of ['janus', 'chameleon'] as const)
    test(`${backbone} draws code after code: early selection is refused, with the way out`, async () => {
      const setup = await setupOf(backbone);
      await assert.rejects(finished(setup, tinyOptions()), new RegExp(`${backbone}.*dsog\\.enabled=false`));
    });
});

describe('runs', () => {
  test('the same seed gives the same run, another one another', async () => {
    const [one, same, other] = [
      await finished(await setupOf(), tinyOptions()),
      await finished(await setupOf(), tinyOptions()),
      await finished(await setupOf(), tinyOptions({ seed: 2 })),
    ];
    assert.deepEqual(same.weights, one.weights);
    assert.deepEqual(
      same.steps.map(({ metrics }) => metrics),
      one.steps.map(({ metrics }) => metrics),
    );
    assert.notDeepEqual(other.weights, one.weights);
  });

  test('stopped between steps and gone on with, the weights and metrics are the same bit for bit', async () => {
    const options = tinyOptions({ steps: 4, refModelSyncSteps: 2 });
    const whole = await finished(await setupOf(), options);
    const out = folder();
    const part = async (until?: number) => {
      const run = await RunFolder.open(out, options, { resume: until === undefined });
      const done = await finished(await setupOf('showo', { run }), options, until);
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
});

describe('ablations', () => {
  const ablations: Record<string, object> = {
    'without reasoning': { understanding: false },
    'visual pathway alone': { pathways: ['via'] },
    'text pathway alone': { pathways: ['tia'] },
    'without early selection': { dsog: { enabled: false } },
    'no penalty': { beta: 0 },
    'only codes that stay': { image: { scored: 'unmasked' } },
    'the printed threshold': { dsog: { version: 'literal' } },
  };
  for (const [name, more] of Object.entries(ablations))
    test(name, async () => {
      const options = tinyOptions(more);
      const { steps } = await finished(await setupOf(), options);
      for (const { metrics, example, samples, dsog } of steps) {
        assert.ok(metrics.grad_norm > 0);
        assert.ok(options.pathways.includes(example.pathway));
        assert.equal(dsog !== undefined, options.dsog.enabled);
        assert.ok(samples.every(({ reasoning }) => (reasoning !== undefined) === options.understanding));
        assert.equal('kl' in metrics, options.beta > 0);
      }
    });

  for (const form of ['normalized', 'as_printed', 'contrast'] as const)
    test(`TIER, ${form}`, async () => {
      const embed = (sentences: readonly string[]) =>
        Promise.resolve(sentences.map((text) => Float32Array.of(Math.cos(text.length), Math.sin(text.length))));
      const reward = tierReward({ name: 'length', size: 2, embed }, { form });
      const rewards = [...tinyRewards, { reward, weight: 0.4 }];
      const { steps } = await finished(await setupOf('showo', { rewards }), tinyOptions());
      const name = form === 'normalized' ? 'tier_length' : `tier_${form}_length`;
      for (const { metrics } of steps) assert.ok(Number.isFinite(metrics[`rewards/${name}/mean`]));
    });
});

describe('rewards', () => {
  test('one that is always the same is found out, and the samples are kept', async () => {
    const flat = defineReward<SubjectTruth>('flat', [0, 1], (samples) => samples.map(() => 0));
    const out = folder();
    const options = tinyOptions({ steps: 9, selfChecks: { warnAfterFlatGroups: null, stopAfterFlatGroups: 2 } });
    const run = await RunFolder.open(out, options);
    const setup = await setupOf('showo', { rewards: [{ reward: flat, weight: 1 }], run });
    await assert.rejects(finished(setup, options), StepRefusedError);
    await run.close();
    assert.ok(existsSync(path.join(out, 'samples', 'refused-step-00000002', 'samples.json')));
  });

  test('what one of them could not score is left out of the sum, and counted', async () => {
    const name = 'sometimes';
    const sometimes = defineReward<SubjectTruth>(name, [0, 1], (samples) => samples.map((_, i) => (i ? 0.5 : NaN)));
    const rewards = [...tinyRewards, { reward: sometimes, weight: 1 }];
    const { steps } = await finished(await setupOf('showo', { rewards }), tinyOptions());
    for (const { metrics, scores } of steps) {
      assert.equal(metrics['rewards/sometimes/failed'], 1);
      assert.equal(metrics['rewards/sometimes/mean'], 0.5);
      scores.forEach(({ value, parts = {} }, i) => {
        const known = 0.4 * parts[evenWords.name] + 0.6 * parts[brightness.name];
        assert.ok(Math.abs(value - (known + (i > 0 ? 0.5 : 0))) < 1e-6);
      });
    }
  });

  test('lengths of completions are those of sampled tokens; without reasoning there are none', async () => {
    const { steps } = await finished(await setupOf(), tinyOptions());
    for (const { metrics, samples } of steps) {
      const lengths = samples.map(({ reasoning }) =>
        (reasoning?.transitions ?? []).reduce((sum, { actionMask }) => sum + actionMask.reduce((a, b) => a + b, 0), 0),
      );
      assert.equal(metrics['completions/mean_length'], mean(lengths));
    }
    const silent = await finished(await setupOf(), tinyOptions({ understanding: false }));
    assert.ok(silent.steps.every(({ metrics }) => !('completions/mean_length' in metrics)));
  });
});

describe('early selection', () => {
  test('the reported threshold is the one that candidates were compared with', async () => {
    const { steps } = await finished(await setupOf(), tinyOptions({ steps: 3 }));
    steps.forEach(({ metrics, dsog, samples }, i) => {
      const { scores = [], threshold = NaN } = dsog ?? {};
      const passed = scores.filter((score) => score > threshold).length;
      assert.deepEqual(
        [metrics['dsog/threshold'], metrics['dsog/passed'], metrics['dsog/candidates']],
        [threshold, passed, scores.length],
      );
      const below = samples.filter(({ early }) => (early?.score ?? NaN) <= threshold);
      assert.equal(metrics['dsog/filled'], below.length);
      if (i > 0) assert.equal(threshold, steps[i - 1].metrics['dsog/next_threshold']);
    });
  });

  test('looks at 4 G / TPR = 48 candidates at most; then the best of the rest fill the group, which is counted', async () => {
    let looked = 0;
    const judge = defineReward<SubjectTruth>('none_passes', [0, 1], (samples) => {
      looked += samples.length;
      return samples.map(() => 0.5);
    });
    const { steps } = await finished(await setupOf('showo', { judge }), tinyOptions({ steps: 1 }));
    const [{ metrics }] = steps;
    assert.deepEqual(
      [looked, metrics['dsog/candidates'], metrics['dsog/passed'], metrics['dsog/filled']],
      [48, 48, 0, 3],
    );
  });
});

describe('memory', () => {
  test('50 steps hold as many tensors as 5', async () => {
    const setup = await setupOf();
    const held: number[] = [];
    const few = { steps: 50, groupSize: 2, dsog: { batch: 8 }, image: { steps: 2 }, text: { maxNewTokens: 2 } };
    for await (const _ of syncGrpo(setup, tinyOptions(few))) held.push(tf.memory().numTensors);
    assert.equal(held.length, 50);
    assert.deepEqual(new Set(held.slice(4)), new Set([held[4]]));
    setup.model.dispose();
  });

  test('nothing is left when a reward throws, or the judge', async () => {
    const wrong = defineReward<SubjectTruth>('wrong', [0, 1], ({ length }) => Array<number>(length + 1).fill(0));
    for (const more of [{ rewards: [...tinyRewards, { reward: wrong, weight: 1 }] }, { judge: wrong }]) {
      const before = tf.memory().numTensors;
      await assert.rejects(finished(await setupOf('showo', more), tinyOptions()), /4 scores for 3|5 scores for 4/);
      assert.equal(tf.memory().numTensors, before);
    }
    const before = tf.memory().numTensors;
    await assert.rejects(finished(await setupOf('janus'), tinyOptions()), /predicts whole images/);
    assert.equal(tf.memory().numTensors, before);
  });

  test('a refused step leaves no tensor, no change of a weight, and its samples with the reason', async () => {
    const out = folder();
    const options = tinyOptions();
    const setup = await setupOf();
    const old = snapshot(setup.model.variables());
    const before = tf.memory().numTensors;
    const run: Run & { close(): Promise<void> } = await RunFolder.open(out, options);
    const broken = { ...setup, model: misreplaying(setup.model), run };
    const refused = async () => {
      for await (const _ of syncGrpo(broken, options)) assert.fail('the step was taken');
    };
    await assert.rejects(refused, (error: unknown) => {
      assert.ok(error instanceof StepRefusedError);
      assert.match(error.message, /understanding|generation/);
      assert.match(error.message, /refused-step-00000001/);
      return true;
    });
    await run.close();
    assert.equal(tf.memory().numTensors, before);
    assert.deepEqual(snapshot(setup.model.variables()), old);
    const file = path.join(out, 'samples', 'refused-step-00000001', 'samples.json');
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { reason: string; samples: { image: string }[] };
    assert.equal(kept.samples.length, 3);
    assert.ok(kept.samples.every(({ image }) => existsSync(path.join(path.dirname(file), image))));
    setup.model.dispose();
  });
});
