import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import {
  addRecoloredSubjects,
  CONCEPTS,
  conceptReferences,
  SUBJECTS,
  genericPerson,
  loadSprites,
  type SpriteSheet,
} from '../../../src/miniworld';
import { startEngine, Rng, tf } from '../../../src/engine';
import { MiniLooks } from '../../../src/models/scorers/mini-looks';
import {
  faceImage,
  FACES_TAUGHT,
  faceTraining,
  attributeLabels,
  MINI_FACE_CONFIG,
} from '../../../src/miniworld/lessons/face-task';
import {
  figureAttributes,
  figureImage,
  figureTraining,
  MINI_FIGURE_CONFIG,
} from '../../../src/miniworld/lessons/figure-task';
import { figureCrops } from '../../../src/miniworld/lessons/attribute-task';
import { trainSupervised } from '../../../src/sft/loop';
import { pixelsTensor } from '../../../src/io';

let sprites: SpriteSheet;
before(async () => {
  await startEngine({ precision: 'float32' });
  sprites = await loadSprites();
  await addRecoloredSubjects(sprites);
});

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Which of the known features is nearest. */
function nearestTo(own: Float32Array, known: readonly Float32Array[]): number {
  const likeness = known.map((other) => dot(own, other));
  return likeness.indexOf(Math.max(...likeness));
}

test('features are unit vectors, alike with themselves, and survive saving; other crops are refused', async () => {
  const face = MiniLooks.random('mini-face', MINI_FACE_CONFIG, new Rng(1));
  const crops = tf.tensor4d(new Rng(2).normal(2 * 40 * 40 * 3), [2, 40, 40, 3]);
  const before = tf.memory().numTensors;
  const features = face.embed(crops);
  assert.equal(tf.memory().numTensors, before);
  assert.equal(features[0].length, 18);
  for (const feature of features) assert.ok(Math.abs(dot(feature, feature) - 1) < 1e-5);
  assert.ok(dot(features[0], features[1]) < 1);
  assert.throws(() => face.logits(tf.zeros([1, 64, 64, 3])), /\[n, 40, 40, 3\], got \[1,64,64,3\]/);
  const folder = mkdtempSync(path.join(tmpdir(), 'mini-face-'));
  await face.save(folder);
  const again = await MiniLooks.load('mini-face', folder);
  assert.ok(dot(again.embed(crops)[0], features[0]) > 0.9999);
  writeFileSync(path.join(folder, 'config.json'), '{"model_type": "other"}');
  await assert.rejects(
    MiniLooks.load('mini-face', folder),
    /config\.json: model_type is "other", expected "mini-face"/,
  );
  await assert.rejects(MiniLooks.load('mini-face', path.join(folder, 'no')), /unilab train face/);
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
  assert.ok(attributeLabels(bald).hair_color < 0);
  assert.ok(attributeLabels(other).hair_color >= 0);
});

test('it learns, without leaving tensors behind', async () => {
  const { face, task } = await faceTraining(undefined, { batch: 16, pool: 0 }, new Rng(3));
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

test('the one that ships knows the looks of people it was not taught on, and whose image is whose', async () => {
  const face = await MiniLooks.load('mini-face');
  const rng = new Rng(4);
  const strangers = Array.from({ length: 24 }, (_, i) => faceImage(rng.split(i), sprites, FACES_TAUGHT, 400));
  const right = tf.tidy(() => {
    const pixels = strangers.map((stranger) => stranger.pixels);
    const logits = face.logits(figureCrops(pixelsTensor(pixels, 64, 64), strangers, 40));
    const glasses = tf.argMax(logits.glasses, 1).dataSync();
    const hair = tf.argMax(logits.hair_style, 1).dataSync();
    return strangers.map(({ person }, i) => {
      const labels = attributeLabels(person);
      return glasses[i] === labels.glasses && hair[i] === labels.hair_style;
    });
  });
  assert.ok(right.filter(Boolean).length >= 22, String(right));
  const people = CONCEPTS.filter((concept) => concept.kind === 'person');
  const features = (split: 'train' | 'heldout') =>
    people.map((concept) => {
      const image = conceptReferences(concept, split, sprites)[0];
      return tf.tidy(
        () => face.embed(figureCrops(pixelsTensor([image.pixels], 64, 64), [image.scene.items[0]], 40))[0],
      );
    });
  const [known, asked] = [features('train'), features('heldout')];
  const nearest = asked.map((own) => nearestTo(own, known));
  assert.ok(nearest.filter((k, i) => k === i).length >= 9, String(nearest));
  face.dispose();
});

test('mini_figure is taught on strangers, and each on the looks that it has', () => {
  const rng = new Rng(5);
  const figures = Array.from({ length: 300 }, (_, i) => figureImage(rng.split(i), sprites));
  const { who, coat } = MINI_FIGURE_CONFIG.looks;
  for (const { labels } of figures) {
    const person = who[labels.who] === 'person';
    assert.equal(labels.coat < 0, person);
    assert.equal(labels.glasses < 0, !person);
    if (!person) {
      const [subject, color] = [who[labels.who], coat[labels.coat]];
      const known = CONCEPTS.some((concept) => concept.class === subject && concept.color === color);
      assert.ok(!known, JSON.stringify(labels));
    }
  }
  assert.equal(new Set(figures.map(({ labels }) => labels.who)).size, SUBJECTS.length);
});

test('mini_figure learns; the features of some looks are unit vectors, too', async () => {
  const { figure, task } = await figureTraining(undefined, { batch: 16, pool: 0 }, new Rng(6));
  const losses: number[] = [];
  for await (const report of trainSupervised(task, { steps: 30, learningRate: 2e-3, seed: 1 }))
    losses.push(report.loss);
  assert.ok(losses[losses.length - 1] < 0.9 * losses[0], String(losses));
  const crops = tf.tensor4d(new Rng(2).normal(40 * 40 * 3), [1, 40, 40, 3]);
  const [feature] = figure.embed(crops, figureAttributes('animal'));
  assert.equal(feature.length, SUBJECTS.length + 7);
  assert.ok(Math.abs(dot(feature, feature) - 1) < 1e-5);
  crops.dispose();
  figure.dispose();
});

test('the mini_figure that ships tells the concepts apart, which it has never seen', async () => {
  const figure = await MiniLooks.load('mini-figure');
  for (const group of [CONCEPTS.filter((c) => c.kind === 'person'), CONCEPTS.filter((c) => c.kind !== 'person')]) {
    const features = (split: 'train' | 'heldout') =>
      group.map((concept) => {
        const image = conceptReferences(concept, split, sprites)[0];
        const at = [image.scene.items[0]];
        return tf.tidy(() => {
          const crops = figureCrops(pixelsTensor([image.pixels], 64, 64), at, 40);
          return figure.embed(crops, figureAttributes(concept.kind))[0];
        });
      });
    const [known, asked] = [features('train'), features('heldout')];
    const nearest = asked.map((own) => nearestTo(own, known));
    assert.ok(nearest.filter((k, i) => k === i).length >= 9, String(nearest));
  }
  figure.dispose();
});
