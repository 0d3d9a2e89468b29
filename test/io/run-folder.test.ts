import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AdamW, startEngine, tf } from '../../src/engine';
import { type LoggedSample, RunFolder } from '../../src/io';

const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-run-'));
before(() => startEngine({ quiet: true, precision: 'float32' }));
after(() => rmSync(scratch, { recursive: true }));

const linesOf = (folder: string) =>
  readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);

function parts() {
  const w = tf.variable(tf.tensor1d([1, 2]));
  return { w, model: { variables: () => ({ w }) }, optimizer: new AdamW({ learningRate: 0.1 }) };
}

describe('a run folder', () => {
  it('gives back weights, optimizer and state, and forgets what was logged after the checkpoint', async () => {
    const folder = path.join(scratch, 'resumed');
    const options = { steps: 9, seed: 3, dsog: { mu: 0.1 } };
    const first = parts();
    const run = await RunFolder.open(folder, options, { checkpointEvery: 2 });
    const state = { step: 0, threshold: 0 };
    assert.equal(await run.restore(state, first), false);
    for (let step = 1; step <= 3; step++) {
      first.optimizer.apply({ w: first.w }, { w: tf.tensor1d([1, -1]) });
      Object.assign(state, { step, threshold: step / 10 });
      await run.log({
        step,
        metrics: { reward: step },
        timings: { rollout: 0.5 },
        samples: [{ text: `said ${step}` }],
      });
      await run.save(state, first);
      if (step === 2) first.model.variables().w.assign(tf.add(first.w, 0));
    }
    await run.close();
    const second = parts();
    const again = await RunFolder.open(folder, options, { checkpointEvery: 2, resume: true });
    const resumed = { step: 0, threshold: 0 };
    assert.equal(await again.restore(resumed, second), true);
    assert.deepEqual(resumed, { step: 2, threshold: 0.2 });
    assert.equal(second.optimizer.step, 2);
    assert.ok(second.w.dataSync()[0] < 0.9);
    assert.deepEqual(
      linesOf(folder).map(({ step }) => step),
      [1, 2],
    );
    assert.deepEqual(linesOf(folder)[0], { step: 1, reward: 1, 'time/rollout': 0.5 });
    assert.deepEqual(readdirSync(path.join(folder, 'samples')), ['step-00000001', 'step-00000002']);
    await again.close();
  });

  it('belongs to its options', async () => {
    const folder = path.join(scratch, 'options');
    await (await RunFolder.open(folder, { steps: 9, dsog: { mu: 0.1 }, beta: 0 })).close();
    await assert.rejects(
      RunFolder.open(folder, { steps: 9 }),
      /holds a run already: resume it \(--resume; in code resume: true\)/,
    );
    await assert.rejects(
      RunFolder.open(folder, { steps: 10, dsog: { mu: 0.2 } }, { resume: true }),
      /other options: steps: was 9, is 10; dsog.mu: was 0.1, is 0.2; beta: was 0, is not there/,
    );
    const { options, versions } = JSON.parse(readFileSync(path.join(folder, 'options.json'), 'utf8')) as Record<
      string,
      Record<string, unknown>
    >;
    assert.deepEqual(options, { steps: 9, dsog: { mu: 0.1 }, beta: 0 });
    assert.ok(versions.unilab && versions.node);
  });

  it('never saves what is not finite, nor a step that was not logged; keeps refused samples', async () => {
    const folder = path.join(scratch, 'nan');
    const { w, ...rest } = parts();
    const run = await RunFolder.open(folder, {});
    await run.restore({ step: 0 }, rest);
    await assert.rejects(run.save({ step: 1 }, rest), /step 1 must be logged before it is saved/);
    await run.log({ step: 1, metrics: {} });
    w.assign(tf.tensor1d([NaN, 1]));
    await assert.rejects(run.save({ step: 1 }, rest), /step 1 was not saved: not finite are model.w/);
    assert.throws(() => readdirSync(path.join(folder, 'checkpoints')), /ENOENT/);
    const kept = await run.keepRefused(2, new Error('the loss is NaN'), [{ text: 'what it said' }]);
    assert.match(readFileSync(path.join(kept, 'samples.json'), 'utf8'), /the loss is NaN[^]*what it said/);
    await run.close();
  });
});

const reader = `
import sys, json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1], size_guidance={'images': 0, 'tensors': 0, 'scalars': 0}); a.Reload()
tags = a.Tags()
print(json.dumps({
  'scalars': {t: [[e.step, e.value] for e in a.Scalars(t)] for t in tags['scalars']},
  'images': {t: [[e.step, e.width, e.height, e.encoded_image_string[:4].hex()] for e in a.Images(t)] for t in tags['images']},
  'texts': {t: [[e.step, e.tensor_proto.string_val[0].decode()] for e in a.Tensors(t)] for t in tags['tensors']},
  'plugin': a.SummaryMetadata('samples/0').plugin_data.plugin_name if tags['tensors'] else None,
}))`;

/** A Python with the tensorboard package: the one that set-up prepares for tests, or the one on the path. */
const prepared = path.join(process.env.UNILAB_JUPYTER_VENV ?? '.venv/lab', 'bin', 'python');
const python = existsSync(prepared) ? prepared : 'python3';
const hasTensorboard = spawnSync(python, ['-c', 'import tensorboard']).status === 0;

describe('event files', () => {
  const samples = (step: number): LoggedSample[] => [
    { prompt: 'a red cat', text: `äh ${step}`, image: { width: 2, height: 3, rgb: new Uint8Array(18).fill(step) } },
  ];
  const write = async (folder: string) => {
    const run = await RunFolder.open(folder, {}, { resume: true });
    const given = parts();
    const state = { step: 0 };
    await run.restore(state, given);
    for (let step = state.step + 1; step <= 3; step++) {
      await run.log({ step, metrics: { reward: step / 2 }, samples: samples(step) });
      if (step === 2) await run.save({ step }, given);
    }
    await run.close();
  };

  it('are cut back to the checkpoint, byte for byte', async () => {
    const folder = path.join(scratch, 'events');
    await write(folder);
    const file = path.join(folder, readdirSync(folder).find((name) => name.startsWith('events.out.tfevents.')) ?? '');
    const bytes = readFileSync(file);
    assert.equal(bytes.readBigUInt64LE(0), BigInt(24)); // the version record
    await write(folder);
    assert.equal(readFileSync(file).length, bytes.length, 'step 3 is there once');
  });

  it('are read by TensorBoard', { skip: !hasTensorboard && 'no tensorboard package for Python' }, () => {
    const { stdout, stderr } = spawnSync(python, ['-c', reader, path.join(scratch, 'events')], { encoding: 'utf8' });
    assert.ok(stdout, stderr);
    const read = JSON.parse(stdout) as Record<string, Record<string, unknown[]>>;
    assert.deepEqual(read.scalars.reward, [
      [1, 0.5],
      [2, 1],
      [3, 1.5],
    ]);
    assert.deepEqual(
      read.images['samples/0'],
      [1, 2, 3].map((step) => [step, 2, 3, '89504e47']),
    );
    assert.deepEqual(
      read.texts['samples/0'],
      [1, 2, 3].map((step) => [step, `**a red cat**\n\näh ${step}`]),
    );
    assert.equal(read.plugin, 'text');
  });
});

describe('the options that make a folder a run', () => {
  it('an option that an older version did not have changes nothing as long as it is off', async () => {
    const folder = path.join(scratch, 'older');
    const close = async (options: object, resume = true) =>
      (await RunFolder.open(folder, { steps: 2, ...options }, { resume })).close();
    await close({}, false);
    await close({ checkpointing: false, limit: null, adapters: { enabled: false, rank: 8 } });
    await assert.rejects(() => close({ checkpointing: true }), /checkpointing: was not there, is true/);
    await assert.rejects(() => close({ adapters: { enabled: true, rank: 8 } }), /adapters: was not there, is \{/);
    await assert.rejects(() => close({ limit: 0 }), /limit: was not there, is 0/);
    await assert.rejects(() => close({ steps: null }), /steps: was 2, is null/);
  });
});
