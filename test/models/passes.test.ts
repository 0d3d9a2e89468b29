/** Images through image tokenizers a few at a time: the same codes and pixels, in memory for a few. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { startEngine, tf } from '../../src/engine';
import { imagesToTensor } from '../../src/io';
import { decodeInPasses, encodeInPasses, imagesAPass } from '../../src/models/passes';
import { tinyModel } from './chameleon/fixture';
import { noiseImage } from './showo/tiny-showo';

before(() => startEngine({ precision: 'float32', quiet: true }));

test('a pass takes 64 small images, or one large one', () => {
  assert.deepEqual(
    [64, 128, 384, 512, 1024].map((side) => imagesAPass(side, side)),
    [64, 16, 1, 1, 1],
  );
});

test('codes are those of all at once, in their order', () => {
  const sizes: number[] = [];
  const images = Array.from({ length: 3 }, (_, i) => noiseImage(512, 512, i));
  const red = (pixels: tf.Tensor4D) => {
    sizes.push(pixels.shape[0]);
    return tf.cast(tf.mul(tf.slice(pixels, [0, 0, 0, 0], [-1, 1, 2, 1]), 1000), 'int32');
  };
  const all = tf.tidy(() => Array.from(red(imagesToTensor(images)).dataSync<'int32'>()));
  assert.deepEqual(
    encodeInPasses(images, red).flatMap((row) => Array.from(row)),
    all,
  );
  assert.deepEqual(sizes, [3, 1, 1, 1]);
  assert.deepEqual(encodeInPasses([], red), []);
});

test("a model's images are decoded as all at once", () => {
  const model = tinyModel();
  const { imageTokenizer } = model;
  try {
    const codes = [1, 2, 3].map((seed) => imageTokenizer.encode([noiseImage(8, 8, seed)])[0]);
    const before = tf.memory().numTensors;
    const [parts, whole] = [decodeInPasses(imageTokenizer, codes), imageTokenizer.decode(codes)];
    assert.deepEqual([parts.shape, Array.from(parts.dataSync())], [whole.shape, Array.from(whole.dataSync())]);
    tf.dispose([parts, whole]);
    assert.equal(tf.memory().numTensors, before);
  } finally {
    model.dispose();
  }
});
