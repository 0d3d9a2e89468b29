import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SubjectTruth } from '../../src/data/personalization';
import { startEngine, tf } from '../../src/engine';
import { type Run, RunFolder } from '../../src/io';
import type { UnifiedModel } from '../../src/models/unified';
import { syncGrpo } from '../../src/recipes/sync-grpo';
import { defineReward } from '../../src/rewards';
import { StepRefusedError } from '../../src/rl';
import { snapshot } from '../models/showo/tiny-showo';
import { finished, setupOf } from './finished';
import { tinyOptions, tinyRewards } from './tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

const root = mkdtempSync(path.join(tmpdir(), 'unilab-sync-grpo-'));
after(() => rmSync(root, { recursive: true, force: true }));

const folder = () => mkdtempSync(path.join(root, 'run-'));

/** The model, but every replayed log-prob is off. */
function misreplaying(model: UnifiedModel): UnifiedModel {
  const replay: UnifiedModel['replay'] = (transitions) => tf.tidy(() => tf.add(model.replay(transitions), 0.5));
  return Object.create(model, { replay: { value: replay } }) as UnifiedModel;
}

describe('runs of Sync-GRPO', () => {
  test('the same seed gives the same run, another one another', async () => {
    const [one, same, other] = [
      await finished(await setupOf(), tinyOptions()),
      await finished(await setupOf(), tinyOptions()),
      await finished(await setupOf(), tinyOptions({ seed: 2 })),
    ];
    assert.deepEqual(same.weights, one.weights);
    assert.deepEqual(
      same.steps.map(({ metrics }) => metrics),
      one.steps.map(({ metrics }) => metrics),
    );
    assert.notDeepEqual(other.weights, one.weights);
  });

  test('stopped between steps and gone on with, the weights and metrics are the same bit for bit', async () => {
    const options = tinyOptions({ steps: 4, refModelSyncSteps: 2 });
    const whole = await finished(await setupOf(), options);
    const out = folder();
    const part = async (until?: number) => {
      const run = await RunFolder.open(out, options, { resume: until === undefined });
      const done = await finished(await setupOf('showo', { run }), options, until);
      await run.close();
      return done;
    };
    const first = await part(2);
    const rest = await part();
    assert.deepEqual(
      [...first.steps, ...rest.steps].map(({ metrics }) => metrics),
      whole.steps.map(({ metrics }) => metrics),
    );
    assert.deepEqual(rest.weights, whole.weights);
  });
});

describe('memory', () => {
  test('50 steps hold as many tensors as 5', async () => {
    const setup = await setupOf();
    const held: number[] = [];
    const few = { steps: 50, groupSize: 2, dsog: { batch: 8 }, image: { steps: 2 }, text: { maxNewTokens: 2 } };
    for await (const _ of syncGrpo(setup, tinyOptions(few))) held.push(tf.memory().numTensors);
    assert.equal(held.length, 50);
    assert.deepEqual(new Set(held.slice(4)), new Set([held[4]]));
    setup.model.dispose();
  });

  test('nothing is left when a reward throws, or the judge', async () => {
    const wrong = defineReward<SubjectTruth>('wrong', [0, 1], ({ length }) => Array<number>(length + 1).fill(0));
    for (const more of [{ rewards: [...tinyRewards, { reward: wrong, weight: 1 }] }, { judge: wrong }]) {
      const before = tf.memory().numTensors;
      await assert.rejects(finished(await setupOf('showo', more), tinyOptions()), /4 scores for 3|5 scores for 4/);
      assert.equal(tf.memory().numTensors, before);
    }
    const before = tf.memory().numTensors;
    await assert.rejects(finished(await setupOf('janus'), tinyOptions()), /predicts whole images/);
    assert.equal(tf.memory().numTensors, before);
  });

  test('a refused step leaves no tensor, no change of a weight, and its samples with the reason', async () => {
    const out = folder();
    const options = tinyOptions();
    const setup = await setupOf();
    const old = snapshot(setup.model.variables());
    const before = tf.memory().numTensors;
    const run: Run & { close(): Promise<void> } = await RunFolder.open(out, options);
    const broken = { ...setup, model: misreplaying(setup.model), run };
    const refused = async () => {
      for await (const _ of syncGrpo(broken, options)) assert.fail('the step was taken');
    };
    await assert.rejects(refused, (error: unknown) => {
      assert.ok(error instanceof StepRefusedError);
      assert.match(error.message, /understanding|generation/);
      assert.match(error.message, /refused-step-00000001/);
      return true;
    });
    await run.close();
    assert.equal(tf.memory().numTensors, before);
    assert.deepEqual(snapshot(setup.model.variables()), old);
    const file = path.join(out, 'samples', 'refused-step-00000001', 'samples.json');
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { reason: string; samples: { image: string }[] };
    assert.equal(kept.samples.length, 3);
    assert.ok(kept.samples.every(({ image }) => existsSync(path.join(path.dirname(file), image))));
    setup.model.dispose();
  });
});
