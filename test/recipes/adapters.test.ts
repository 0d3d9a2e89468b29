/** Every recipe by adapters, with blocks computed again: the base stands still, a run can be gone on with. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { XcotTask } from '../../src/data/xcot';
import { startEngine, tf } from '../../src/engine';
import { openSafetensors } from '../../src/io';
import { resolveOptions } from '../../src/io/options';
import { JanusModel } from '../../src/models/janus/model';
import type { UnifiedModel } from '../../src/models/unified';
import { runCorl } from '../../src/recipes';
import { mmR1Options } from '../../src/recipes/mm-r1';
import { MmR1Run } from '../../src/recipes/mm-r1-run';
import { SyncGrpoRun } from '../../src/recipes/sync-grpo-run';
import { defineReward } from '../../src/rewards';
import { WORDS } from '../models/janus/fixture';
import { noiseImage, snapshot } from '../models/showo/tiny-showo';
import { tinyCorlOptions, tinyCorlRewards, tinyCorlTask } from './tiny-corl';
import { backbones, tinyOptions, tinyTask } from './tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-adapted-runs-'));
after(() => rmSync(root, { recursive: true, force: true }));

const ADAPTED = { adapters: { enabled: true, rank: 2 }, gradientCheckpointing: true } as const;

const bright = (name: string) =>
  defineReward(name, [0, 1], (samples) =>
    samples.map(({ image }) => image && tf.tidy(() => (tf.mean(image.pixels()).dataSync()[0] + 1) / 2)),
  );
const short = defineReward('short', [0, 1], (samples) => samples.map(({ completion }) => 1 / (1 + completion.length)));

/** A tiny model as a folder. */
async function saved(backbone: keyof typeof backbones): Promise<string> {
  const folder = path.join(root, backbone);
  const model: UnifiedModel = await backbones[backbone]();
  await model.savePretrained(folder, { dtype: 'F32' });
  model.dispose();
  return folder;
}

async function namesIn(file: string): Promise<string[]> {
  const reader = await openSafetensors(file);
  await reader.close();
  return [...reader.names];
}

const isAdapter = (name: string) => /\.lora_[AB]\.weight$/.test(name);

describe('Sync-GRPO', () => {
  test('stopped and gone on with, the adapters are the same bit for bit, and stand in a folder of their own', async () => {
    const model = await saved('showo');
    const rewards = { tier: short, ber: bright('ber'), der: bright('der') };
    const options = tinyOptions({ ...ADAPTED, steps: 4, subject: { steps: 1, understanding: 1, generation: 0 } });
    const part = async (out: string, until: number, resume: boolean) => {
      const run = await SyncGrpoRun.open({ model, task: tinyTask('showo', '<sks>'), rewards, options, out, resume });
      for await (const _ of run.learnSubject());
      const metrics: Readonly<Record<string, number>>[] = [];
      for await (const step of run.steps()) {
        metrics.push(step.metrics);
        if (metrics.length === until) break;
      }
      const weights = snapshot(run.model.variables());
      await run.close();
      return { metrics, weights };
    };
    const [whole, stopped] = ['whole', 'stopped'].map((name) => path.join(root, name));
    const all = await part(whole, Infinity, false);
    const [first, rest] = [await part(stopped, 2, false), await part(stopped, Infinity, true)];
    assert.deepEqual([...first.metrics, ...rest.metrics], all.metrics);
    assert.deepEqual(rest.weights, all.weights);
    assert.ok(all.metrics[0].kl < 1e-6 && all.metrics[3].kl > 0);
    const names = Object.keys(all.weights);
    assert.equal(names.filter((name) => !isAdapter(name)).length, 3, `the subject's rows: ${names.join(' ')}`);
    const kept = await namesIn(path.join(whole, 'adapters', 'adapter_model.safetensors'));
    assert.deepEqual(kept.map((name) => name.replace('base_model.model.', '')).sort(), names.filter(isAdapter).sort());
    assert.ok(existsSync(path.join(whole, 'adapters', 'adapter_config.json')));
  });
});

describe('CoRL', () => {
  test('asks for a base in bfloat16, and leaves the whole model and the adapters alone', async () => {
    const asked: unknown[] = [];
    let learned: string[] = [];
    const setup = {
      out: path.join(root, 'corl'),
      load: (folder: string, options: { readonly dtype?: 'F32' | 'BF16' }) => {
        asked.push(options);
        return JanusModel.fromPretrained(folder, { ...options, tokenizer: WORDS });
      },
      rewards: (model: UnifiedModel) => {
        learned = Object.keys(model.variables());
        return Promise.resolve({ ...tinyCorlRewards, dispose: () => undefined });
      },
    };
    const run = { name: 'unified', from: await saved('janus'), task: tinyCorlTask, options: tinyCorlOptions(ADAPTED) };
    for await (const { metrics } of runCorl(setup, run)) assert.ok(metrics.grad_norm > 0);
    assert.deepEqual(asked, [{ dtype: 'BF16' }]);
    assert.ok(learned.length > 0 && learned.every(isAdapter));
    const kept = await namesIn(path.join(root, 'corl', 'unified', 'adapters', 'adapter_model.safetensors'));
    assert.equal(kept.length, learned.length);
    const model = path.join(root, 'corl', 'unified', 'model');
    assert.deepEqual((await namesIn(model)).sort(), (await namesIn(run.from)).sort());
  });
});

describe('MM-R1', () => {
  const images = [1, 2, 3].map((seed) => noiseImage(8, 8, seed));
  const task: XcotTask = {
    name: 'tiny',
    sample: () => ({ id: 'a', prompt: 'w25 w26', references: [images[0]], truth: undefined }),
    record: () => {
      const [reference, focus, target] = images;
      return { id: 'r', subject: 'w21', prompt: 'w25 w26', reference, focus, target, caption: 'w30 w31', plan: 'w32' };
    },
    evaluate: () => Promise.resolve({ metrics: {}, items: [] }),
  };

  test('the reference is what the cold start left of the adapters, not the base under them', async () => {
    const options = resolveOptions(mmR1Options, ADAPTED, {
      steps: 2,
      groupSize: 3,
      structure: 'guided',
      beta: 0.1,
      learningRate: 1e-2,
      text: { maxNewTokens: 3 },
      image: { guidanceScale: 2 },
      coldStart: { steps: 2, batch: 1, learningRate: 1e-1 },
    });
    const rewards = { similarity: bright('similarity'), text: short };
    const run = await MmR1Run.open({
      model: await saved('chameleon'),
      task,
      rewards,
      options,
      out: path.join(root, 'mm'),
    });
    const before = snapshot(run.model.variables());
    for await (const _ of run.coldStart());
    const cold = snapshot(run.model.variables());
    assert.ok(Object.keys(before).every(isAdapter));
    assert.notDeepEqual(cold, before);
    const kl: number[] = [];
    for await (const { metrics } of run.steps()) kl.push(metrics.kl);
    assert.ok(kl[0] < 1e-6 && kl[1] > 1e-6, `${kl}`);
    assert.ok(existsSync(path.join(root, 'mm', 'adapters', 'adapter_config.json')));
    await run.close();
  });
});
