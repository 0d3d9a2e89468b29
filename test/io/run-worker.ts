/**
 * A small run that is to be killed: `FOLDER supervised|rl STEPS`. Goes on where it was stopped; prints its weights at
 * the end.
 */
import { AdamW, Rng, startEngine, tf } from '../../src/engine';
import { RunFolder } from '../../src/io';
import { groupAdvantages, trainStep } from '../../src/rl';
import { trainSupervised } from '../../src/sft/loop';
import { LogitTable, tableSegment } from '../parity/checks/log-prob-policy';

const [folder, kind, count] = process.argv.slice(2);
const steps = Number(count);

async function supervised(): Promise<number[]> {
  const w = tf.variable(tf.tensor1d([1, 2, 3]));
  const task = {
    name: 'toy',
    variables: { w },
    batch: (_: number, rng: Rng) => ({ x: tf.tensor1d(rng.normal(3)) }),
    loss: ({ x }: { x: tf.Tensor }) => ({
      loss: tf.sum<tf.Scalar>(tf.square(tf.sub(tf.mul(w, x), 1))),
      metrics: {},
    }),
  };
  for await (const report of trainSupervised(task, { steps, seed: 7, folder, checkpointEvery: 2 })) void report;
  return [...w.dataSync()];
}

async function reinforced(): Promise<number[]> {
  const policy = new LogitTable([[[0, 0.1, 0.2, 0.3]], [[0.3, 0.2, 0.1, 0]]]);
  const optimizer = new AdamW({ learningRate: 0.05 });
  const run = await RunFolder.open(folder, { steps, seed: 7 }, { resume: true });
  const state = { step: 0 };
  await run.restore(state, { model: policy, optimizer });
  while (state.step < steps) {
    const rng = new Rng(7).split(state.step);
    const ids = Array.from({ length: 8 }, () => rng.int(4));
    const segmentOf = (id: number, i: number, logProb: number) =>
      tableSegment('understanding', i % 2, 0, [id], [logProb], [1]);
    const replayed = policy.replay(ids.flatMap((id, i) => segmentOf(id, i, 0).transitions));
    const logProbs = replayed.dataSync();
    replayed.dispose();
    const trajectories = ids.map((id, i) => ({ segments: [segmentOf(id, i, logProbs[i])] }));
    const { advantages } = groupAdvantages('dr_grpo', [ids.map((id) => id / 3)]);
    const metrics = await trainStep(policy, undefined, trajectories, advantages, optimizer, { learningRate: 0.05 });
    state.step++;
    await run.log({ step: state.step, metrics, samples: [{ text: `step ${state.step}` }] });
    await run.save(state, { model: policy, optimizer });
  }
  await run.close();
  return [...policy.logits.dataSync()];
}

void (async () => {
  await startEngine({ quiet: true, precision: 'float32' });
  console.log('started');
  console.log(JSON.stringify(await (kind === 'rl' ? reinforced() : supervised())));
})();
