import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { startEngine, Rng, tf, withoutTracing } from '../../src/engine';
import { MagvitTokenizer } from '../../src/models/showo/image-tokenizer';
import { widenTokenizer } from '../../src/miniworld/curricula/showo-widen';
import { type StepReport, type SupervisedTask, trainSupervised } from '../../src/sft/loop';
import { magvitTask } from '../../src/miniworld/curricula/showo-tokenizer-task';

const coder = { ch: 32, ch_mult: [1, 1], num_res_blocks: [0, 1], z_channels: 4, norm_groups: 4 };
const config = { encoder: coder, decoder: coder, codebook_dim: 4 };

function task(seed = 1): { tokenizer: MagvitTokenizer; task: SupervisedTask<unknown> } {
  const tokenizer = MagvitTokenizer.random(config, new Rng(seed));
  const source = (rng: Rng) => Uint8Array.from({ length: 8 * 8 * 3 }, () => rng.int(256));
  return { tokenizer, task: magvitTask(tokenizer, source, 2, 8) };
}

const folder = () => mkdtempSync(path.join(tmpdir(), 'unilab-loop-'));

async function collect(run: AsyncGenerator<StepReport>, most = Infinity): Promise<StepReport[]> {
  const out: StepReport[] = [];
  for await (const report of run) {
    out.push(report);
    if (out.length >= most) break;
  }
  return out;
}

before(() => startEngine({ precision: 'float32' }));

test('stopped and resumed equals uninterrupted', async () => {
  const whole = await collect(trainSupervised(task().task, { steps: 8, seed: 3 }));
  const place = folder();
  const first = await collect(trainSupervised(task().task, { steps: 8, seed: 3, folder: place }), 3);
  // Other initial weights: all that counts comes from the checkpoint.
  const rest = await collect(trainSupervised(task(99).task, { steps: 8, seed: 3, folder: place }));
  const losses = [...first, ...rest].map((report) => report.loss);
  assert.equal(losses.length, 8);
  whole.forEach((report, i) =>
    assert.ok(Math.abs(report.loss - losses[i]) < 1e-6, `step ${i + 1}: ${report.loss} and ${losses[i]}`),
  );
});

test('a run that ends early goes the first steps of the longer one', async () => {
  const whole = await collect(trainSupervised(task().task, { steps: 8, seed: 3 }));
  const early = await collect(trainSupervised(task().task, { steps: 3, scheduleSteps: 8, seed: 3 }));
  assert.equal(early.length, 3);
  early.forEach((report, i) => {
    assert.equal(report.learningRate, whole[i].learningRate);
    assert.ok(Math.abs(report.loss - whole[i].loss) < 1e-6);
  });
});

test('a checkpoint of another run and a damaged one are errors that say what to do', async () => {
  const place = folder();
  await collect(trainSupervised(task().task, { steps: 4, seed: 3, folder: place, checkpointEvery: 1 }), 2);
  await assert.rejects(
    collect(trainSupervised(task().task, { steps: 4, seed: 4, folder: place })),
    /holds a run with other options: seed: was 3, is 4/,
  );
  const saved = path.join(place, 'checkpoints');
  const newest = readdirSync(saved).sort()[1];
  writeFileSync(path.join(saved, newest, 'model.safetensors'), 'torn');
  await assert.rejects(
    collect(trainSupervised(task().task, { steps: 4, seed: 3, folder: place })),
    /has 4 bytes, \d+ were written.*one before it/,
  );
  const reports = await collect(trainSupervised(task().task, { steps: 4, seed: 3, folder: place, fallback: true }));
  assert.equal(reports[0].step, 2, 'the one before the damaged checkpoint was gone on from');
});

test('the loss falls, nothing leaks, and a loss that is not finite stops the run', async () => {
  const { tokenizer, task: own } = task();
  const reports: StepReport[] = [];
  let tensors = 0;
  for await (const report of trainSupervised(own, { steps: 54, seed: 3, learningRate: 3e-3 })) {
    reports.push(report);
    if (report.step === 4) tensors = tf.memory().numTensors;
    if (report.step > 4) assert.equal(tf.memory().numTensors, tensors, `step ${report.step}`);
  }
  const mean = (list: StepReport[]) => list.reduce((sum, r) => sum + r.loss, 0) / list.length;
  assert.ok(mean(reports.slice(-10)) < mean(reports.slice(0, 10)));
  tokenizer.parameters.variables['decoder.conv_out.bias'].assign(tf.fill([3], NaN));
  await assert.rejects(
    collect(trainSupervised(own, { steps: 5, seed: 3 })),
    /the loss is NaN at step 1; the step was not taken/,
  );
});

test('a widened tokenizer still decodes what the narrow one did', async () => {
  const narrow = MagvitTokenizer.random(config, new Rng(5));
  const more = { ...coder, z_channels: 6 };
  const wide = await widenTokenizer(narrow, { encoder: more, decoder: more, codebook_dim: 6 }, new Rng(6));
  const pixels = tf.tensor<tf.Rank.R4>(new Rng(7).normal(2 * 8 * 8 * 3), [2, 8, 8, 3]);
  const difference = tf.tidy(
    () => tf.max(tf.abs(tf.sub(narrow.reconstruct(pixels).pixels, wide.reconstruct(pixels).pixels))).dataSync()[0],
  );
  assert.ok(difference > 0 && difference < 0.1, `differs by ${difference}`);
  const old = narrow.encode(pixels).dataSync();
  const widened = wide.encode(pixels).dataSync();
  old.forEach((code, i) => assert.equal(widened[i] >> 2, code, 'the old bits are the leading ones'));
  await assert.rejects(() => widenTokenizer(wide, config, new Rng(1)), /has 6 bits already; 4 are not more/);
});

test('a batch with a NaN stops the run before the weights change, and what was saved stays good', async () => {
  const place = folder();
  const poisoned = (at: number) => {
    const w = tf.variable(tf.tensor1d([1, 2]));
    const toy = {
      name: 'toy',
      variables: { w },
      batch: (step: number) => ({ x: tf.tensor1d(step === at ? [NaN, 1] : [1, 1]) }),
      loss: ({ x }: { x: tf.Tensor }) => ({ loss: tf.sum<tf.Scalar>(tf.square(tf.mul(w, x))), metrics: {} }),
    };
    return { w, toy };
  };
  const bad = poisoned(7);
  const options = { steps: 20, seed: 1, folder: place, checkpointEvery: 3 };
  const tensors = tf.memory().numTensors;
  await assert.rejects(collect(trainSupervised(bad.toy, options)), /the loss is NaN at step 8; the step was not taken/);
  assert.equal(tf.memory().numTensors, tensors, 'no tensor is left');
  assert.ok([...bad.w.dataSync()].every(Number.isFinite));
  assert.deepEqual(readdirSync(path.join(place, 'checkpoints')).sort(), ['step-00000003', 'step-00000006']);
  const fixed = poisoned(-1);
  const reports = await collect(trainSupervised(fixed.toy, options));
  assert.equal(reports[0].step, 7);
  assert.equal(reports.at(-1)?.step, 20);
});

/** A matrix of a block and a table, drawn to a random target each. */
function twoKinds(): SupervisedTask<unknown> {
  const make = (seed: number) => tf.tidy(() => tf.variable(tf.tensor2d(new Rng(seed).normal(24), [4, 6])));
  const variables = { 'model.layers.0.mlp.up_proj.weight': make(1), 'model.table.weight': make(2) };
  return {
    name: 'two kinds',
    variables,
    batch: (_step, rng) => ({ target: tf.tensor2d(rng.normal(24), [4, 6]) }),
    loss: (batch) => {
      const { target } = batch as { target: tf.Tensor2D };
      const apart = Object.values(variables).map((weight) => tf.mean<tf.Scalar>(tf.square(tf.sub(weight, target))));
      return { loss: tf.addN<tf.Scalar>(apart), metrics: { block: apart[0], table: apart[1] } };
    },
  };
}

test('Muon steps matrices of blocks alone; traced, stopped and resumed it takes the same steps', async () => {
  const options = { steps: 8, seed: 3, learningRate: 0.05 } as const;
  const losses = (reports: StepReport[]) => reports.map(({ metrics }) => metrics);
  const muon = losses(await collect(trainSupervised(twoKinds(), { ...options, optimizer: 'muon' })));
  const adamw = losses(await collect(trainSupervised(twoKinds(), options)));
  const apart = (of: 'block' | 'table') => Math.max(...muon.map((m, i) => Math.abs(m[of] - adamw[i][of])));
  assert.ok(apart('table') < 1e-5, `tables ${apart('table')} apart`);
  assert.ok(apart('block') > 1e-3, `blocks ${apart('block')} apart`);
  const plain = await withoutTracing(() => collect(trainSupervised(twoKinds(), { ...options, optimizer: 'muon' })));
  const place = folder();
  const first = await collect(trainSupervised(twoKinds(), { ...options, optimizer: 'muon', folder: place }), 5);
  const rest = await collect(trainSupervised(twoKinds(), { ...options, optimizer: 'muon', folder: place }));
  for (const run of [losses(plain), losses([...first, ...rest])])
    muon.forEach(({ block }, i) => assert.ok(Math.abs(block - run[i].block) < 1e-5, `step ${i + 1}`));
});
