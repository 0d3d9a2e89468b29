import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startEngine, tf } from '../../src/engine';
import { dataFolder } from '../../src/io';
import { SyncGrpoRun } from '../../src/recipes/sync-grpo-run';
import { checkEarlySelection } from '../../src/recipes/early-selection';
import { defineReward } from '../../src/rewards';
import { backbones, tinyOptions, tinyTask } from './tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

describe('early selection', () => {
  for (const backbone of ['showo', 'janus', 'chameleon'] as const)
    it(`${backbone}: is refused or not before anything is learned, and leaves no tensor`, async () => {
      const model = await backbones[backbone]();
      const { numTensors } = tf.memory();
      const check = () => checkEarlySelection(model, tinyOptions());
      if (backbone === 'showo') check();
      else assert.throws(check, new RegExp(`${backbone} does not: set dsog\\.enabled=false`));
      checkEarlySelection(model, tinyOptions({ dsog: { enabled: false } }));
      assert.equal(tf.memory().numTensors, numTensors);
      model.dispose();
    });

  it('opening a run with a model that draws code after code says so, and frees the model', async () => {
    const never = defineReward('never', [0, 1], () => assert.fail('nothing is scored'));
    const rewards = { tier: never, ber: never, der: never };
    const { numTensors } = tf.memory();
    const model = dataFolder('checkpoints', 'janus-mini');
    await assert.rejects(
      SyncGrpoRun.open({ model, task: tinyTask(), rewards, options: tinyOptions() }),
      /janus does not: set dsog\.enabled=false/,
    );
    assert.equal(tf.memory().numTensors, numTensors);
  });
});
