/** A table of logits that takes policy steps: what tests of the step and of its self-checks begin with. */
import assert from 'node:assert/strict';
import { AdamW, Rng } from '../../src/engine';
import type { SegmentName, Trajectory } from '../../src/models/unified';
import { trainStep, type TrainStepInput } from '../../src/rl';
import { LogitTable, tableSegment, type TableTransition } from '../parity/checks/log-prob-policy';

export const [prompts, positions, vocabulary] = [2, 4, 5];

/** A table of logits, and what it says of eight samples: text of one row each, images of two. */
export function setup(seed = 3) {
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

export const advantages = [1, -0.5, 0.25, -0.75, 2, -1, 0.5, -1.5];
export const options: TrainStepInput = { learningRate: 0.1, maxGradNorm: 100 };

/** Weights after one step. */
export async function stepped(
  more: TrainStepInput,
  seed?: number,
): Promise<{ weights: number[]; metrics: Record<string, number> }> {
  const { policy, reference, trajectories, optimizer } = setup(seed);
  const metrics = await trainStep(policy, reference, trajectories, advantages, optimizer, { ...options, ...more });
  return { weights: [...policy.logits.dataSync()], metrics };
}

export function near(got: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  assert.equal(got.length, expected.length);
  expected.forEach((e, i) => assert.ok(Math.abs(got[i] - e) < tolerance, `at ${i}: ${got[i]}, expected ${e}`));
}
