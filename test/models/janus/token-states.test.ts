import { featureCount } from '../../../src/models/janus/network';
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { readValues, startEngine, tf } from '../../../src/engine';
import { imagesToTensor } from '../../../src/io';
import type { UnderstandingPrompt } from '../../../src/models/janus/layout';
import { modelRepresenter, timReward } from '../../../src/rewards';
import { sampleOf } from '../../rewards/sample';
import { fixtureModel, noiseImage } from './fixture';

before(() => startEngine({ precision: 'float32', quiet: true }));

test('states are those of a plain forward pass at the places of the layout, whatever stands beside them', async () => {
  const model = await fixtureModel('janus');
  const images = [1, 2].map((seed) => noiseImage(model, seed));
  const texts = ['w5 w6 w7', 'w9'];
  const held = tf.memory().numTensors;
  const states = model.tokenStates(images, texts);
  assert.equal(tf.memory().numTensors, held);
  texts.forEach((text, i) => {
    const { ids } = model.prompt([images[i], text], 'understand') as UnderstandingPrompt;
    const width = model.config.text.hidden_size;
    const all = readValues(() => {
      const features = model.network.imageFeatures(imagesToTensor([images[i]]));
      return model.network.hidden(
        model.network.embed(model.network.embedInputs([ids], featureCount(features)), features),
      );
    });
    // bos, begin of image, the image, end of image, the text
    const count = text.split(' ').length;
    const places = ids.length - 3 - count;
    assert.deepEqual([states[i].image.length, states[i].text.length], [places, count]);
    const row = (at: number) => all.slice(at * width, (at + 1) * width);
    const near = (a: Float32Array, b: Float32Array) => assert.ok(a.every((value, d) => Math.abs(value - b[d]) < 1e-5));
    states[i].image.forEach((state, p) => near(state, row(2 + p)));
    states[i].text.forEach((state, p) => near(state, row(3 + places + p)));
  });
  model.dispose();
});

test('R_TIM of a frozen copy does not move when the policy learns', async () => {
  const model = await fixtureModel('janus_tied');
  const frozen = model.frozenCopy();
  const reward = timReward(modelRepresenter(frozen));
  assert.equal(reward.name, 'tim_janus_frozen');
  const samples = [sampleOf({ image: noiseImage(model, 1), text: 'w5 w6' })];
  const [first] = await reward(samples);
  assert.ok(Math.abs(first.value) <= 1 && first.parts?.image_to_text !== undefined);
  for (const variable of Object.values(model.variables())) {
    const moved = tf.tidy(() => tf.mul(variable, 1.1));
    variable.assign(moved);
    moved.dispose();
  }
  assert.deepEqual(await reward(samples), [first]);
  frozen.dispose();
  model.dispose();
});
