import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Concept, conceptReferences, findConcept, loadSprites, type SpriteSheet } from '../../../src/miniworld';
import { startEngine, tf } from '../../../src/engine';
import { SubjectSimilarity, SceneDetector } from '../../../src/miniworld/detector';
import { pixelsTensor } from '../../../src/io';

let sprites: SpriteSheet;
let detector: SceneDetector;
before(async () => {
  await startEngine({ precision: 'float32' });
  sprites = await loadSprites();
  detector = await SceneDetector.load();
});

const meanLikeness = (scorer: SubjectSimilarity, concept: Concept) => {
  const pixels = pixelsTensor(
    conceptReferences(concept, 'train', sprites).map((image) => image.pixels),
    64,
    64,
  );
  const scores = scorer.score(pixels);
  pixels.dispose();
  assert.ok(scores.every((score) => score >= -1 && score <= 1));
  return scores.reduce((a, b) => a + b, 0) / scores.length;
};

test('a concept is nearest to its own held-out images, on whatever background and beside whatever it stands', () => {
  for (const [name, ...others] of [
    ['mira', 'otto', 'emil', 'yuki'],
    ['kofi', 'ravi', 'zola', 'ines'],
    ['pixel', 'luna', 'momo', 'hoot'],
    ['brew', 'strum', 'bolt', 'tick'],
  ]) {
    const tensors = tf.memory().numTensors;
    const scorer = SubjectSimilarity.of(detector, findConcept(name), sprites);
    const own = meanLikeness(scorer, findConcept(name));
    for (const other of others) assert.ok(own > meanLikeness(scorer, findConcept(other)), `${name}, ${other}`);
    assert.equal(tf.memory().numTensors, tensors);
  }
});
