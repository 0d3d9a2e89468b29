/** Supervised tasks of drawn examples: few shapes, known before the first step, and the same loss. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { readValues, Rng, startEngine, tf } from '../../src/engine';
import type { InterleavedExample, RowCounts, SupervisedExample } from '../../src/models/unified';
import { drawnTask } from '../../src/sft';
import { tinyModel as tinyChameleon } from '../models/chameleon/fixture';
import { noiseImage } from '../models/showo/tiny-showo';

before(() => startEngine({ precision: 'float32', quiet: true }));

const images = [noiseImage(8, 8, 3), noiseImage(8, 8, 4)];
const wordsOf = (rng: Rng, most: number) =>
  Array.from({ length: 1 + rng.int(most) }, () => `w${20 + rng.int(8)}`).join(' ');

/** Text and an image that follow a prompt; texts are of many lengths. */
const sequences = (rng: Rng): InterleavedExample[] =>
  [0, 1].map((i) => ({
    task: 'sequence',
    prompt: [images[0], wordsOf(rng.split(`prompt ${i}`), 6)],
    answer: [wordsOf(rng.split(`answer ${i}`), 6), images[1]],
  }));

/** Shapes of everything that a batch holds. */
const shapesOf = (tensors: object) => JSON.stringify(tensorsIn(tensors).map(({ shape }) => shape));
const tensorsIn = (value: unknown): tf.Tensor[] => {
  if (value instanceof tf.Tensor) return [value as tf.Tensor];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(tensorsIn) : [];
};

describe('batches of drawn examples', () => {
  test('have one or two shapes, whatever the lengths, and the loss of the examples as they are', async () => {
    const model = tinyChameleon();
    try {
      const task = drawnTask<InterleavedExample>(model, { name: 'sequences', draw: sequences });
      const [sized, unsized] = [new Set<string>(), new Set<string>()];
      for (let step = 0; step < 12; step++) {
        const rng = new Rng(7).split(step);
        const batch = await task.batch(step, rng);
        const settings = { cfgDropout: 0, sizes: (_: string, counts: RowCounts) => counts };
        const alone = model.supervisedBatch(sequences(rng), rng.split('loss'), settings);
        const [loss, expected] = [batch, alone].map((one) => readValues(() => one.loss())[0]);
        assert.ok(Math.abs(loss - expected) < 1e-5 * expected, `${loss}, ${expected}`);
        sized.add(shapesOf(batch.tensors));
        unsized.add(shapesOf(alone.tensors));
        tf.dispose([batch.tensors, alone.tensors]);
      }
      assert.ok(unsized.size > 4, `${unsized.size} shapes`);
      assert.ok(sized.size <= 2, `${sized.size} shapes: ${[...sized].join('; ')}`);
    } finally {
      model.dispose();
    }
  });

  test('sizes are chosen without a look at images: those of the first batch are encoded, once', async () => {
    const model = tinyChameleon();
    const { imageTokenizer } = model;
    const encode = imageTokenizer.encode.bind(imageTokenizer);
    let encoded = 0;
    imageTokenizer.encode = (some) => {
      encoded += some.length;
      return encode(some);
    };
    const draw = (): SupervisedExample[] => [{ task: 'generate', prompt: 'w20 w21', image: images[0] }];
    try {
      const batch = await drawnTask<SupervisedExample>(model, { name: 'images', draw }).batch(0, new Rng(1));
      tf.dispose(batch.tensors);
      assert.equal(encoded, 1);
    } finally {
      model.dispose();
    }
  });
});
