import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { describe, test } from 'node:test';
import { resolveOptions } from '../../src/io/options';
import { syncGrpoMini, syncGrpoOptions } from '../../src/recipes/sync-grpo';
import { syncGrpoWeights } from '../../src/recipes/sync-grpo-run';

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

describe('options of Sync-GRPO', () => {
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
      groupSize: 24,
      aggregation: 'segment-mean',
      beta: 0,
      learningRate: 1e-4,
      weightDecay: 0,
      subjectLearningRate: 2e-3,
      'text.maxNewTokens': 6,
      'image.steps': 8,
      'image.guidanceScale': 3,
      'image.scored': 'unmasked',
      'dsog.batch': 48,
      'dsog.targetPassRate': 0.5,
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
