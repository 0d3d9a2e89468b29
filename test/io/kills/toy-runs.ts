/**
 * Small runs that are to be killed, in a folder that they go on in: `FOLDER KIND STEPS`. `sync-grpo` is the recipe as it
 * is, on a model of random weights; `supervised` the loop, on three numbers.
 */
import { type Rng, startEngine, tf } from '../../../src/engine';
import { RunFolder } from '../../../src/io';
import { syncGrpo } from '../../../src/recipes/sync-grpo';
import { trainSupervised } from '../../../src/sft/loop';
import { backbones, brightness, tinyOptions, tinyRewards, tinyTask } from '../../recipes/tiny-task';

async function supervised(folder: string, steps: number): Promise<void> {
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
  try {
    for await (const report of trainSupervised(task, { steps, seed: 7, folder, checkpointEvery: 2 })) void report;
  } finally {
    w.dispose();
  }
}

async function reinforced(folder: string, steps: number): Promise<void> {
  const options = tinyOptions({ steps, groupSize: 2, image: { steps: 2 }, dsog: { batch: 2, targetPassRate: 0.5 } });
  const model = await backbones.showo();
  const run = await RunFolder.open(folder, options, { resume: true, checkpointEvery: 2, keep: 1 });
  const setup = { model, task: tinyTask(), rewards: tinyRewards, judge: brightness, run };
  try {
    for await (const step of syncGrpo(setup, options)) void step;
  } finally {
    await run.close();
    model.dispose();
  }
}

export const toyRuns = { supervised, 'sync-grpo': reinforced } satisfies Record<
  string,
  (folder: string, steps: number) => Promise<void>
>;

export type RunKind = keyof typeof toyRuns;

async function main(): Promise<void> {
  const [folder, kind, steps] = process.argv.slice(2);
  await startEngine({ quiet: true, precision: 'float32' });
  await toyRuns[kind as RunKind](folder, Number(steps));
}

if (require.main === module)
  void main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
