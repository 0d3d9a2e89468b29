import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Concept, conceptReferences, findConcept, loadSprites, type SpriteSheet } from '../../../src/miniworld';
import { startEngine, tf } from '../../../src/engine';
import { SubjectSimilarity, SceneDetector } from '../../../src/miniworld/detector';
import { pixelsTensor } from '../../../src/sft/train-magvit';

let sprites: SpriteSheet;
let reader: SceneDetector;
before(async () => {
  await startEngine({ precision: 'float32' });
  sprites = await loadSprites();
  reader = await SceneDetector.load();
});

const meanLikeness = (judge: SubjectSimilarity, concept: Concept) => {
  const pixels = pixelsTensor(conceptReferences(concept, 'train', sprites).map((image) => image.pixels), 64, 64); // prettier-ignore
  const scores = judge.score(pixels);
  pixels.dispose();
  assert.ok(scores.every((score) => score >= -1 && score <= 1));
  return scores.reduce((a, b) => a + b, 0) / scores.length;
};

test('a concept is nearest to its own held-out images, on whatever ground and beside whatever it stands', () => {
  for (const [name, ...others] of [
    ['mira', 'otto', 'emil', 'yuki'],
    ['kofi', 'ravi', 'zola', 'ines'],
    ['pixel', 'luna', 'momo', 'hoot'],
    ['brew', 'strum', 'bolt', 'tick'],
  ]) {
    const tensors = tf.memory().numTensors;
    const judge = SubjectSimilarity.of(reader, findConcept(name), sprites);
    const own = meanLikeness(judge, findConcept(name));
    for (const other of others) assert.ok(own > meanLikeness(judge, findConcept(other)), `${name}, ${other}`);
    assert.equal(tf.memory().numTensors, tensors);
  }
});
