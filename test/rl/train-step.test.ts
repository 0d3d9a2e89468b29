import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdamW, startEngine } from '../../src/engine';
import { trainStep, type TrainStepInput } from '../../src/rl';
import { LogProbPolicy, tableSegment } from '../parity/checks/log-prob-policy';
import { setup, advantages, options, stepped, near } from './table-setup';

before(() => startEngine({ precision: 'float32', quiet: true }));

describe('a policy step', () => {
  it('worked example: two samples of one token, A = 1 and -1', async () => {
    const policy = new LogProbPolicy({ understanding: [[-1], [-2]] });
    const trajectories = [-1, -2].map((logProb, row) => ({
      segments: [tableSegment('understanding', row, 0, [0], [logProb], [1])],
    }));
    const optimizer = new AdamW({ learningRate: 0.1, weightDecay: 0 });
    const metrics = await trainStep(policy, undefined, trajectories, [1, -1], optimizer, { learningRate: 0.1 });
    near([metrics.loss, metrics.grad_norm], [0, Math.SQRT1_2]);
    near([...policy.variables().understanding.dataSync()], [-0.9, -2.1], 1e-4); // Adam's first step is the rate
    assert.equal(metrics['clip_ratio/region_mean'], 0);
    assert.equal(metrics['sampling/sampling_logp_difference/max'], 0);
  });

  const kinds: TrainStepInput[] = [
    {},
    { beta: 0.1, aggregation: 'token-mean', segmentWeights: { understanding: 0.4, generation: 0.6 } },
    { importanceSamplingLevel: 'sequence', beta: 0.1, numIterations: 2, lossType: 'grpo' },
    { importanceSamplingLevel: 'sequence-sum', numIterations: 2, aggregation: 'seq-mean-token-sum' },
    { surrogate: 'cispo', epsilonHigh: 2, numIterations: 2, lossType: 'bnpo' },
    { topEntropyQuantile: 0.5, lossType: 'dr_grpo', maxCompletionLength: 9 },
    { oldLogProbs: 'replayed', importanceSamplingCorrection: true },
  ];
  for (const kind of kinds) {
    it(`chunks change nothing: ${JSON.stringify(kind)}`, async () => {
      const whole = await stepped({ ...kind, chunk: 100 });
      for (const chunk of [1, 3]) {
        const got = await stepped({ ...kind, chunk });
        near(got.weights, whole.weights, 2e-4);
        near(Object.values(got.metrics), Object.values(whole.metrics), 1e-4);
      }
    });
  }

  it('accumulated minibatches are the whole batch', async () => {
    for (const aggregation of ['segment-mean', 'seq-mean-token-mean', 'token-mean'] as const) {
      const whole = await stepped({ aggregation });
      const parts = await stepped({ aggregation, stepsPerGeneration: 4, gradientAccumulationSteps: 4 });
      near(parts.weights, whole.weights, 2e-4);
      near([parts.metrics.loss, parts.metrics.grad_norm], [whole.metrics.loss, whole.metrics.grad_norm]);
    }
  });

  it('the clip acts from the second update on', async () => {
    const { metrics } = await stepped({ numIterations: 4, learningRate: 1 });
    assert.ok(metrics['clip_ratio/region_mean'] > 0.1, `${metrics['clip_ratio/region_mean']}`);
  });

  it('truncated completions are left out', async () => {
    const { policy, trajectories, optimizer } = setup();
    const cut = trajectories.map(({ segments: [text, image] }, i) => ({
      segments: [{ ...text, finished: i > 0 } as typeof text, image],
    }));
    const masked = { ...options, maskTruncatedCompletions: true };
    await trainStep(policy, undefined, cut, advantages, optimizer, masked);
    const other = setup();
    const changed = [100, ...advantages.slice(1)];
    await trainStep(other.policy, undefined, cut, changed, other.optimizer, masked);
    assert.deepEqual([...policy.logits.dataSync()], [...other.policy.logits.dataSync()]);
  });

  it('the reference follows: alpha policy + (1 - alpha) reference', async () => {
    const { policy, reference, trajectories, optimizer } = setup();
    const before = [...reference.logits.dataSync()];
    const more = { ...options, beta: 0.1, refModelSyncSteps: 2, refModelMixupAlpha: 0.25 };
    await trainStep(policy, reference, trajectories, advantages, optimizer, more);
    assert.deepEqual([...reference.logits.dataSync()], before);
    await trainStep(policy, reference, trajectories, advantages, optimizer, {
      ...more,
      oldLogProbs: 'replayed',
      selfChecks: { ratio: false },
    });
    const now = [...policy.logits.dataSync()];
    near(
      [...reference.logits.dataSync()],
      before.map((b, i) => 0.25 * now[i] + 0.75 * b),
    );
  });

  it('a step is refused for advantages or options that do not fit', async () => {
    const { policy, trajectories, optimizer } = setup();
    const step = (list: number[], more: object) => trainStep(policy, undefined, trajectories, list, optimizer, more);
    await assert.rejects(step([1], {}), /there are 1 advantages for 8 trajectories/);
    await assert.rejects(step([NaN, ...advantages.slice(1)], {}), /number 0 is NaN/);
    for (const more of [
      { aggregation: 'segmentmean' },
      { beta: NaN },
      { beta: -1 },
      { beta: 0.1 },
      { stepsPerGeneration: 3 },
    ])
      await assert.rejects(step(advantages, more), RangeError, JSON.stringify(more));
  });
});
