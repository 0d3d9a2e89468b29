import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startEngine, tf } from '../../src/engine';
import type { Policy } from '../../src/models/unified';
import { checkSpread, PendingGradients, resolveTrainStep, trainStep, type TrainStepInput } from '../../src/rl';
import { RatioCheck } from '../../src/rl/metrics';
import { rowsOf } from '../../src/rl/rows';
import { type LogitTable, type TableTransition } from '../parity/checks/log-prob-policy';
import { vocabulary, setup, advantages, options } from './table-setup';

before(() => startEngine({ precision: 'float32', quiet: true }));

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
