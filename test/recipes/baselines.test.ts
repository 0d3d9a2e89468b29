import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine } from '../../src/engine';
import type { Image } from '../../src/io';
import { resolveOptions } from '../../src/io/options';
import type { UnifiedModel } from '../../src/models/unified';
import { Baseline, baselineOptions, BASELINES } from '../../src/recipes';
import { snapshot } from '../models/showo/tiny-showo';
import { backbones, tinyTask } from './tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

const options = resolveOptions(baselineOptions, {
  inversion: { steps: 2, batch: 2 },
  dreambooth: { steps: 2, batch: 1, classImages: 2, learningRate: 1e-3 },
  image: { steps: 2, guidanceScale: 1 },
  subject: { understanding: 1, generation: 1, steps: 2, understandingBatch: 1 },
});

const open = async (backbone: keyof typeof backbones = 'showo') => ({
  task: tinyTask(backbone, '<sks>'),
  model: await backbones[backbone](),
});

/** What a model is asked, prompt by prompt. */
function listening(model: UnifiedModel): { model: UnifiedModel; asked: (readonly (string | Image)[])[] } {
  const asked: (readonly (string | Image)[])[] = [];
  const prompt: UnifiedModel['prompt'] = (parts, task) => {
    asked.push(parts);
    return model.prompt(parts, task);
  };
  return {
    model: new Proxy(model, { get: (of, key) => (key === 'prompt' ? prompt : (Reflect.get(of, key, of) as unknown)) }),
    asked,
  };
}

describe('baselines', () => {
  test('text prompt: the subject in words stands in every prompt, and nothing learns', async () => {
    const { model: tiny, task } = await open();
    const { model, asked } = listening(tiny);
    const baseline = await Baseline.open('text-prompt', { model, task, description: 'w22 w23' }, options);
    for await (const _ of baseline.steps()) assert.fail('it does not learn');
    const { metrics } = await baseline.evaluate();
    assert.ok('codes' in metrics);
    assert.deepEqual(asked, [['w25 w22 w23'], ['w25 w22 w23'], ['w20 w22 w23']]);
  });

  test('image prompt: a reference stands before texts that name the subject; Show-o says that it cannot draw from one', async () => {
    const { model: tiny, task } = await open('chameleon');
    const { model, asked } = listening(tiny);
    const baseline = await Baseline.open('image-prompt', { model, task }, options);
    baseline.model.prompt(['w25 <sks>'], 'understand');
    baseline.model.prompt([task.subject.references[1].image, 'w20 <sks>'], 'understand');
    assert.deepEqual(asked, [
      [task.subject.references[0].image, 'w25 w21'],
      [task.subject.references[1].image, 'w20 w21'],
    ]);
    const showo = await open();
    const refused = await Baseline.open('image-prompt', showo, options);
    assert.throws(() => refused.model.prompt(['w25 <sks>'], 'generate'), /draws from text alone/);
  });

  for (const name of BASELINES.filter((one) => !one.endsWith('prompt')))
    test(`${name}: what is to learn learns, and nothing else`, async () => {
      const { model, task } = await open();
      const old = snapshot(model.variables());
      const baseline = await Baseline.open(name, { model, task }, options);
      const losses: number[] = [];
      for await (const { loss } of baseline.steps()) losses.push(loss);
      assert.ok(losses.length >= 2 && losses.every(Number.isFinite));
      const now = snapshot(model.variables());
      const changed = Object.keys(old).filter((key) => old[key].some((value, i) => value !== now[key][i]));
      assert.equal(changed.length > 0, name === 'dreambooth', `${changed}`);
      assert.ok(Object.keys(now).length > Object.keys(old).length, 'the new word has rows of its own');
      assert.ok('codes' in (await baseline.evaluate({ text: { maxNewTokens: 2 } })).metrics);
      model.dispose();
    });
});
