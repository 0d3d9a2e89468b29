import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startEngine } from '../../src/engine';
import type { SubjectTruth } from '../../src/data/personalization';
import { RunFolder } from '../../src/io';
import { defineReward, tierReward } from '../../src/rewards';
import { StepRefusedError } from '../../src/rl';
import { snapshot } from '../models/showo/tiny-showo';
import { finished, setupOf } from './finished';
import { brightness, evenWords, tinyOptions, tinyRewards } from './tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-sync-grpo-'));
after(() => rmSync(root, { recursive: true, force: true }));

const folder = () => mkdtempSync(path.join(root, 'run-'));

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

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
