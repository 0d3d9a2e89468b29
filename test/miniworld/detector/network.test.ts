import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { evaluateDetector } from '../../../src/miniworld/evaluation/scorers';
import { loadSprites, type SpriteSheet } from '../../../src/miniworld';
import { startEngine, Rng, tf } from '../../../src/engine';
import { SceneDetector } from '../../../src/miniworld/detector';
import { dataFolder } from '../../../src/io/package-root';
import { detectorBatch, detectorLoss } from '../../../src/miniworld/lessons/detector-task';

describe('the scene detector', () => {
  let sprites: SpriteSheet;
  let folder: string;
  before(async () => {
    await startEngine({ quiet: true });
    sprites = await loadSprites();
    folder = mkdtempSync(path.join(os.tmpdir(), 'detector-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('gives every parameter a gradient, and learns', () => {
    const detector = SceneDetector.random(new Rng(1));
    const batch = detectorBatch(sprites, [], 8, new Rng(2));
    const variables = Object.values(detector.parameters.variables);
    const { value, grads } = tf.variableGrads(() => detectorLoss(detector, batch).loss, variables);
    for (const [name, variable] of Object.entries(detector.parameters.variables)) {
      const size = tf.tidy(() => tf.sum(tf.abs(grads[variable.name])).dataSync()[0]);
      assert.ok(size > 0 && Number.isFinite(size), `${name}: ${size}`);
    }
    const start = value.dataSync()[0];
    const optimizer = tf.train.adam(2e-3);
    for (let step = 0; step < 8; step++) optimizer.minimize(() => detectorLoss(detector, batch).loss, false, variables);
    const end = tf.tidy(() => detectorLoss(detector, batch).loss.dataSync()[0]);
    assert.ok(end < 0.7 * start, `${start} -> ${end}`);
    tf.dispose([value, grads, batch as unknown as tf.TensorContainer]);
    optimizer.dispose();
    detector.dispose();
  });

  it('reads the same after saving and loading as its bf16 weights, and leaks nothing', async () => {
    const detector = SceneDetector.random(new Rng(3));
    await detector.save(folder);
    const [first, second] = [await SceneDetector.load(folder), await SceneDetector.load(folder)];
    await second.save(folder);
    const third = await SceneDetector.load(folder);
    const pixels = tf.tensor4d(new Rng(4).uniform(3 * 64 * 64 * 3), [3, 64, 64, 3]);
    const kept = tf.memory().numTensors;
    const [a, b] = [first.detect(pixels), third.detect(pixels)];
    for (let i = 0; i < 5; i++) first.detect(pixels);
    assert.equal(tf.memory().numTensors, kept);
    assert.deepEqual(a, b);
    const original = detector.detect(pixels)[0].probabilities.background;
    a[0].probabilities.background.forEach((p, i) => assert.ok(Math.abs(p - original[i]) < 0.02));
    assert.throws(() => first.detect(tf.zeros([1, 32, 32, 3])), /64 x 64/);
    tf.dispose(pixels);
    for (const each of [detector, first, second, third]) each.dispose();
  });

  it('names what is wrong with a checkpoint', async () => {
    await assert.rejects(SceneDetector.load(path.join(folder, 'absent')), /unilab train detector/);
    const file = path.join(folder, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...config, colors: ['red'] }));
    await assert.rejects(SceneDetector.load(folder), /its colors are not those of this mini world/);
    writeFileSync(file, JSON.stringify({ ...config, model_type: 'showo' }));
    await assert.rejects(SceneDetector.load(folder), /expected "scene-reader"/);
  });

  it(
    'that ships reads fresh images',
    { skip: !existsSync(dataFolder('checkpoints', 'scene-reader', 'config.json')) },
    async () => {
      const detector = await SceneDetector.load();
      const metrics = await evaluateDetector(detector, undefined, 66, 4711);
      const floors = {
        object: 0.9,
        color: 0.9,
        count: 0.9,
        position: 0.9,
        background: 0.95,
        identity: 0.85,
        exact: 0.85,
      };
      for (const [name, floor] of Object.entries(floors))
        assert.ok(metrics[`real/${name}`].value >= floor, `${name}: ${metrics[`real/${name}`].value}`);
      detector.dispose();
    },
  );
});
