import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AdamW, Rng, startEngine, tf } from '../../src/engine';
import type { Policy, SegmentName, Trajectory } from '../../src/models/unified';
import { checkSpread, PendingGradients, resolveTrainStep, trainStep, type TrainStepInput } from '../../src/rl';
import { RatioCheck } from '../../src/rl/metrics';
import { rowsOf } from '../../src/rl/rows';
import { LogitTable, LogProbPolicy, tableSegment, type TableTransition } from '../parity/checks/log-prob-policy';

before(() => startEngine({ precision: 'float32', quiet: true }));

const [prompts, positions, vocabulary] = [2, 4, 5];

/** A table of logits, and what it says of eight samples: text of one row each, images of two. */
function setup(seed = 3) {
  const rng = new Rng(seed);
  const values = () => Array.from({ length: vocabulary }, () => rng.normal());
  const table = Array.from({ length: prompts }, () => Array.from({ length: positions }, values));
  const policy = new LogitTable(table);
  const segment = (name: SegmentName, row: number, from: number, length: number) => {
    const ids = Array.from({ length }, () => rng.int(vocabulary));
    const mask = ids.map((_, i) => (i === 0 ? 1 : rng.int(4) > 0 ? 1 : 0));
    const unknown = tableSegment(
      name,
      row,
      from,
      ids,
      ids.map(() => 0),
      mask,
    );
    const replayed = policy.replay(unknown.transitions);
    const [logProbs] = replayed.arraySync();
    replayed.dispose();
    return tableSegment(name, row, from, ids, logProbs, mask);
  };
  const trajectories = Array.from({ length: 8 }, (_, i): Trajectory<TableTransition> => {
    const image = [segment('generation', i % 2, 0, 3), segment('generation', i % 2, 1, 3)];
    const [first, second] = image.map(({ transitions }) => transitions[0]);
    const drawn = { ...image[0], transitions: [first, second] } as (typeof image)[0];
    return { segments: [segment('understanding', i % 2, 0, 1 + (i % 4)), drawn] };
  });
  const optimizer = new AdamW({ learningRate: 0.1, weightDecay: 0 });
  return { policy, reference: new LogitTable(table), trajectories, optimizer };
}

const advantages = [1, -0.5, 0.25, -0.75, 2, -1, 0.5, -1.5];
const options: TrainStepInput = { learningRate: 0.1, maxGradNorm: 100 };

/** Weights after one step. */
async function stepped(
  more: TrainStepInput,
  seed?: number,
): Promise<{ weights: number[]; metrics: Record<string, number> }> {
  const { policy, reference, trajectories, optimizer } = setup(seed);
  const metrics = await trainStep(policy, reference, trajectories, advantages, optimizer, { ...options, ...more });
  return { weights: [...policy.logits.dataSync()], metrics };
}

function near(got: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  assert.equal(got.length, expected.length);
  expected.forEach((e, i) => assert.ok(Math.abs(got[i] - e) < tolerance, `at ${i}: ${got[i]}, expected ${e}`));
}

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

/** What a broken policy gives, and what is left of weights and tensors. */
async function refused(
  policyOf: (right: LogitTable) => Policy<TableTransition>,
  more: TrainStepInput,
  message: RegExp,
) {
  const { policy, reference, trajectories, optimizer } = setup();
  const before = [...policy.logits.dataSync()];
  const broken = policyOf(policy);
  for (let i = 0; i < 3; i++) {
    const tensors = tf.memory().numTensors;
    const step = trainStep(broken, reference, trajectories, advantages, optimizer, { ...options, beta: 0.1, ...more });
    await assert.rejects(step, message);
    assert.equal(tf.memory().numTensors, tensors, 'no tensor is left');
  }
  assert.deepEqual([...policy.logits.dataSync()], before, 'the weights are as they were');
}

const replaying = (right: LogitTable, replay: Policy<TableTransition>['replay']): Policy<TableTransition> => ({
  variables: () => right.variables(),
  replay,
});

describe('self-checks', () => {
  it('shifted targets', () =>
    refused(
      (right) =>
        replaying(right, (all) =>
          right.replay(all.map((one) => ({ ...one, sampledIds: one.sampledIds.map((id) => (id + 1) % vocabulary) }))),
        ),
      {},
      /ratio before the first update is not 1 at trajectory \d, segment 0 \(understanding\), transition 0, position \d: replayed/,
    ));

  it('a wrong image', () =>
    refused(
      (right) =>
        replaying(right, (all) =>
          right.replay(all.map((one) => ({ ...one, row: one.segment === 'generation' ? 1 - one.row : one.row }))),
        ),
      {},
      /not 1 at trajectory \d, segment 1 \(generation\), transition [01], position \d/,
    ));

  it('a wrong temperature', () =>
    refused(
      (right) => replaying(right, (all) => tf.tidy(() => tf.mul(right.replay(all), 1.5))),
      {},
      /look at positions, images, temperature/,
    ));

  it('where products are bfloat16: their rounding passes, a wrong temperature does not', () => {
    const rows = rowsOf(setup().trajectories, advantages, { maskTruncatedCompletions: false }).flat();
    const checked = (change: (logProb: number, i: number) => number) => () =>
      new RatioCheck(resolveTrainStep({}).selfChecks, false, false).check(
        rows,
        rows.map(({ transition }) => Float32Array.from(transition.logProbs, change)),
      );
    checked((logProb, i) => logProb + (i === 2 ? 0.3 : 0.05))(); // at most as far apart as Janus was measured
    assert.throws(
      checked((logProb) => 1.5 * logProb),
      /the ratio before the first update is not 1/,
    );
  });

  it('replaying at random', () =>
    refused(
      (right) => {
        let times = 0;
        return replaying(right, (all) => tf.tidy(() => tf.add(right.replay(all), 1e-6 * times++)));
      },
      { oldLogProbs: 'replayed', numIterations: 2 },
      /replaying it twice gives/,
    ));

  it('advantages whose gradient is 0', () => {
    const detached = (right: LogitTable) =>
      replaying(right, (all) =>
        tf.tidy(() => {
          const longest = Math.max(...all.map(({ logProbs }) => logProbs.length));
          const rows = all.map(({ logProbs }) => Array.from({ length: longest }, (_, t) => logProbs[t] ?? 0));
          return tf.add(tf.tensor2d(rows), tf.mul(tf.sum(right.logits), 0));
        }),
      );
    return refused(detached, {}, /the gradient is: what is replayed does not depend on the weights/);
  });

  it('a NaN log-prob, an infinite gradient, a NaN weight: the step is refused', async () => {
    const spoil = (bad: number) => (right: LogitTable) =>
      replaying(right, (all) => tf.tidy(() => tf.add(right.replay(all), bad)));
    await refused(spoil(NaN), {}, /the replayed log-prob at trajectory 0, segment 0 .* is NaN/);
    await refused(spoil(-Infinity), {}, /is -Infinity/);
    const steep = (right: LogitTable) =>
      replaying(right, (all) => {
        const replayed = right.replay(all);
        const flat = tf.tidy(() => tf.mul(tf.sqrt(tf.mul(tf.sum(right.logits), 0)), 1)); // infinite slope at 0
        return tf.tidy(() => tf.add(replayed, flat));
      });
    await refused(steep, {}, /the gradient is not finite/);
    const { policy, trajectories, optimizer } = setup();
    const unused = tf.variable(tf.tensor1d([1, NaN]));
    const more = { variables: () => ({ ...policy.variables(), unused }), replay: policy.replay.bind(policy) };
    await assert.rejects(
      trainStep(more, undefined, trajectories, advantages, optimizer, options),
      /weights 'unused' are not finite/,
    );
  });

  it('what throws leaves no tensor', () =>
    refused(
      (right) =>
        replaying(right, () => {
          throw new Error('no memory');
        }),
      {},
      /no memory/,
    ));

  it('a reward without spread: a warning, then a stop', () => {
    const [state, said] = [{ flatGroups: 0 }, [] as string[]];
    const checks = { warnAfterFlatGroups: 3, stopAfterFlatGroups: 5 } as Parameters<typeof checkSpread>[2];
    const group = (rewards: number[]) => checkSpread(state, [rewards], checks, (text) => said.push(text));
    for (let i = 0; i < 4; i++) group([0, 0, 0]);
    assert.equal(said.length, 1);
    assert.match(said[0], /3 groups in a row had no spread/);
    assert.throws(() => group([0, NaN]), /5 groups in a row had no spread.*look at the reward/);
    group([0, 1]);
    assert.equal(state.flatGroups, 0);
    assert.throws(() => group([0, Infinity]), /it must be finite/);
  });

  it('gradients that wait are forgotten when a later minibatch is refused', async () => {
    const { policy, trajectories, optimizer } = setup();
    const pending = new PendingGradients();
    const more = { ...options, gradientAccumulationSteps: 2 };
    await trainStep(policy, undefined, trajectories, advantages, optimizer, more, { pending });
    assert.equal(pending.steps, 1);
    const broken = replaying(policy, () => {
      throw new Error('no memory');
    });
    await assert.rejects(trainStep(broken, undefined, trajectories, advantages, optimizer, more, { pending }));
    assert.equal(pending.steps, 0);
  });
});
