import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { CONCEPTS, conceptReferences, genericPerson, loadSprites, type SpriteSheet } from '../../../src/data';
import { startEngine, Stream, tf } from '../../../src/engine';
import { MiniFace } from '../../../src/models/experts/mini-face';
import { faceCrops, facePicture, FACES_TAUGHT, faceTraining, lookLabels, MINI_FACE_CONFIG } from '../../../src/recipes/judges/face-task'; // prettier-ignore
import { trainSupervised } from '../../../src/sft/loop';
import { pixelsTensor } from '../../../src/sft/train-magvit';

let sprites: SpriteSheet;
before(async () => {
  await startEngine({ precision: 'float32' });
  sprites = await loadSprites();
});

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);

test('features are unit vectors, alike with themselves, and survive saving; other crops are refused', async () => {
  const face = MiniFace.random(MINI_FACE_CONFIG, new Stream(1));
  const crops = tf.tensor4d(new Stream(2).fill('normal', 2 * 40 * 40 * 3), [2, 40, 40, 3]);
  const before = tf.memory().numTensors;
  const features = face.embed(crops);
  assert.equal(tf.memory().numTensors, before);
  assert.equal(features[0].length, 18);
  for (const feature of features) assert.ok(Math.abs(dot(feature, feature) - 1) < 1e-5);
  assert.ok(dot(features[0], features[1]) < 1);
  assert.throws(() => face.logits(tf.zeros([1, 64, 64, 3])), /\[n, 40, 40, 3\], got \[1,64,64,3\]/);
  const folder = mkdtempSync(path.join(tmpdir(), 'mini-face-'));
  await face.save(folder);
  const again = await MiniFace.load(folder);
  assert.ok(dot(again.embed(crops)[0], features[0]) > 0.9999);
  writeFileSync(path.join(folder, 'config.json'), '{"model_type": "other"}');
  await assert.rejects(MiniFace.load(folder), /config\.json: model_type is "other", expected "mini-face"/);
  await assert.rejects(MiniFace.load(path.join(folder, 'no')), /unilab train face/);
  rmSync(folder, { recursive: true });
  crops.dispose();
  face.dispose();
  again.dispose();
});

test('hair without colour is not scored', () => {
  const people = Array.from({ length: 100 }, (_, i) => genericPerson(i));
  const bald = people.find((person) => person.hairStyle === 'bald' && !person.beard);
  const other = people.find((person) => person.hairStyle === 'long');
  assert.ok(bald && other);
  assert.ok(lookLabels(bald).hair_colour < 0);
  assert.ok(lookLabels(other).hair_colour >= 0);
});

test('it learns, without leaving tensors behind', async () => {
  const { face, task } = await faceTraining(undefined, { batch: 16, pool: 0 }, new Stream(3));
  const losses: number[] = [];
  const counts: number[] = [];
  for await (const report of trainSupervised(task, { steps: 40, learningRate: 2e-3, seed: 1 })) {
    losses.push(report.loss);
    counts.push(tf.memory().numTensors);
  }
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
  assert.ok(mean(losses.slice(-5)) < 0.8 * mean(losses.slice(0, 5)), String(losses));
  assert.equal(new Set(counts.slice(1)).size, 1);
  face.dispose();
});

test('the one that ships knows the looks of people it was not taught on, and whose picture is whose', async () => {
  const face = await MiniFace.load();
  const stream = new Stream(4);
  const strangers = Array.from({ length: 24 }, (_, i) => facePicture(stream.fork(i), sprites, FACES_TAUGHT, 400));
  const right = tf.tidy(() => {
    const logits = face.logits(faceCrops(pixelsTensor(strangers.map((p) => p.pixels), 64, 64), strangers)); // prettier-ignore
    const glasses = tf.argMax(logits.glasses, 1).dataSync();
    const hair = tf.argMax(logits.hair_style, 1).dataSync();
    return strangers.map(({ person }, i) => glasses[i] === lookLabels(person).glasses && hair[i] === lookLabels(person).hair_style); // prettier-ignore
  });
  assert.ok(right.filter(Boolean).length >= 22, String(right));
  const people = CONCEPTS.filter((concept) => concept.kind === 'person');
  const features = (split: 'train' | 'heldout') =>
    people.map((concept) => {
      const picture = conceptReferences(concept, split, sprites)[0];
      return tf.tidy(() => face.embed(faceCrops(pixelsTensor([picture.pixels], 64, 64), [picture.scene.items[0]]))[0]);
    });
  const [known, asked] = [features('train'), features('heldout')];
  const nearest = asked.map((own) => known.reduce((best, other, k) => (dot(own, other) > dot(own, known[best]) ? k : best), 0)); // prettier-ignore
  assert.ok(nearest.filter((k, i) => k === i).length >= 9, String(nearest));
  face.dispose();
});
