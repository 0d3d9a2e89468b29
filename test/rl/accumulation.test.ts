import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AdamW, Rng, startEngine } from '../../src/engine';
import { RunError, RunFolder } from '../../src/io';
import { groupAdvantages, PendingGradients, trainStep } from '../../src/rl';
import { LogitTable, tableSegment } from '../parity/checks/log-prob-policy';

const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-accumulation-'));
before(() => startEngine({ precision: 'float32', quiet: true }));
after(() => rmSync(scratch, { recursive: true }));

/** One minibatch a rollout, and an update of every second one: gradients wait from step to step. */
async function run(folder: string, steps: number, until = steps, accumulated = 2): Promise<number[]> {
  const policy = new LogitTable([[[0, 0.1, 0.2, 0.3]], [[0.3, 0.2, 0.1, 0]]]);
  const optimizer = new AdamW({ learningRate: 0.05 });
  const pending = new PendingGradients();
  const parts = { model: policy, optimizer, pending };
  const kept = await RunFolder.open(folder, { steps }, { resume: true, keep: 9 });
  const state = { step: 0 };
  const options = { learningRate: 0.05, gradientAccumulationSteps: accumulated };
  try {
    await kept.restore(state, parts);
    while (state.step < until) {
      const rng = new Rng(7).split(state.step);
      const ids = Array.from({ length: 8 }, () => rng.int(4));
      const segmentOf = (id: number, i: number, logProb: number) =>
        tableSegment('understanding', i % 2, 0, [id], [logProb], [1]);
      const replayed = policy.replay(ids.flatMap((id, i) => segmentOf(id, i, 0).transitions));
      const logProbs = replayed.dataSync();
      replayed.dispose();
      const trajectories = ids.map((id, i) => ({ segments: [segmentOf(id, i, logProbs[i])] }));
      const { advantages } = groupAdvantages('dr_grpo', [ids.map((id) => id / 3)]);
      await trainStep(policy, undefined, trajectories, advantages, optimizer, options, { pending });
      state.step++;
      await kept.log({ step: state.step, metrics: {} });
      await kept.save(state, parts);
    }
    return [...policy.logits.dataSync()];
  } finally {
    await kept.close();
    pending.dispose();
  }
}

describe('gradients that wait from rollout to rollout', () => {
  it('no checkpoint falls between them, so that a run is gone on with exactly', async () => {
    const whole = await run(path.join(scratch, 'whole'), 8);
    const folder = path.join(scratch, 'stopped');
    await run(folder, 8, 5); // the gradients of step 5 wait when it stops
    assert.deepEqual(readdirSync(path.join(folder, 'checkpoints')), ['step-00000002', 'step-00000004']);
    assert.deepEqual(await run(folder, 8), whole);
  });

  it('are an error at the end of a run, which would lose them', () =>
    assert.rejects(
      run(path.join(scratch, 'odd'), 4, 4, 3),
      (error: Error) =>
        error instanceof RunError && /step 4 is the last, and gradients of 1 minibatches wait/.test(error.message),
    ));
});
