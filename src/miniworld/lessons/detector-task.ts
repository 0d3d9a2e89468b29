/** Teaching the scene detector: what stands at each cell, its color, who it is, where its center lies, and the background. */
import { loadSprites, type SpriteSheet } from '../sprites';
import { IMAGE_SIZE } from '../world';
import { crossEntropy, type Rng, tf } from '../../engine';
import { cellTargets } from '../detector/labels';
import { SceneDetector } from '../detector/detector';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { augmented, type BinaryTokenizer, detectorImage, reconstructions, shifted, type TrueImage } from './images';

/** Images and their truth, cells in one row after the other. */
export interface DetectorBatch {
  /** `[batch, 64, 64, 3]` in [-1, 1] */
  readonly pixels: tf.Tensor4D;
  /** `[cells]` int32 each */
  readonly category: tf.Tensor1D;
  readonly color: tf.Tensor1D;
  readonly identity: tf.Tensor1D;
  /** `[cells, 2]` */
  readonly offset: tf.Tensor2D;
  /** `[cells]`, 1 where a figure has its center */
  readonly present: tf.Tensor1D;
  /** `[batch]` int32 */
  readonly background: tf.Tensor1D;
}

/** Largest move of an image in pixels along each axis. */
const SHIFT = 3;

/** A batch and everything that is true of it: half of `pool` (where there is one), half rendered anew. */
export function detectorBatch(sprites: SpriteSheet, pool: readonly TrueImage[], size: number, rng: Rng): DetectorBatch {
  const rows = Array.from({ length: size }, (_, i) => {
    const own = rng.split(i);
    const { pixels, scene, concept } = i % 2 && pool.length > 0 ? own.pick(pool) : detectorImage(own, sprites);
    const [x, y] = own.uniform() < 0.5 ? [0, 0] : [own.int(2 * SHIFT + 1) - SHIFT, own.int(2 * SHIFT + 1) - SHIFT];
    return { pixels: x || y ? shifted(pixels, x, y) : pixels, targets: cellTargets(scene, concept?.name, [x, y]) };
  });
  const images = rows.map((row) => row.pixels);
  const clean = pixelsTensor(images, IMAGE_SIZE, IMAGE_SIZE);
  const pixels = augmented(clean, rng.split('augment'));
  clean.dispose();
  const ids = (key: 'category' | 'color' | 'identity') =>
    tf.tensor1d(Int32Array.from(rows.flatMap((row) => Array.from(row.targets[key]))), 'int32');
  return {
    pixels,
    category: ids('category'),
    color: ids('color'),
    identity: ids('identity'),
    offset: tf.tensor2d(Float32Array.from(rows.flatMap((row) => Array.from(row.targets.offset))), [size * 64, 2]),
    present: tf.tensor1d(Float32Array.from(rows.flatMap((row) => Array.from(row.targets.present)))),
    background: tf.tensor1d(Int32Array.from(rows, (row) => row.targets.background)),
  };
}

/**
 * Loss: cross-entropy of the category summed over cells and divided by the number of cells with a figure (nearly all
 * cells are empty: a plain mean would hardly see the others), plus the means of color, identity and background where
 * they apply, plus the squared error of the center.
 */
export function detectorLoss(
  detector: SceneDetector,
  batch: DetectorBatch,
): { loss: tf.Scalar; metrics: Record<string, tf.Scalar> } {
  const out = detector.net.forward(batch.pixels);
  const figures = tf.maximum(tf.sum(batch.present), 1);
  const perFigure = tf.div(batch.category.size, figures);
  const category: tf.Scalar = tf.mul(crossEntropy(out.category, batch.category), perFigure);
  const color = crossEntropy(out.color, batch.color);
  const identity = crossEntropy(out.identity, batch.identity);
  const background = crossEntropy(out.background, batch.background);
  const missed = tf.mul(tf.square(tf.sub(out.offset, batch.offset)), tf.expandDims(batch.present, 1));
  const offset: tf.Scalar = tf.div(tf.sum(missed), figures);
  return {
    loss: tf.addN<tf.Scalar>([category, color, identity, background, offset]),
    metrics: { category, color, identity, background, offset },
  };
}

/** Images as the tokenizer gives them back, with their truth. */
export function reconstructedImages(
  sprites: SpriteSheet,
  imageTokenizer: BinaryTokenizer,
  count: number,
  rng: Rng,
): TrueImage[] {
  const images = Array.from({ length: count }, (_, i) => detectorImage(rng.split(i), sprites));
  const rendered = images.map((image) => image.pixels);
  const back = reconstructions(imageTokenizer, rendered, rng.split('bits'));
  return images.map((image, i) => ({ ...image, pixels: back[i] }));
}

/**
 * A fresh reader and its task.
 * @param imageTokenizer without it no image goes through the tokenizer
 * @param options `pool`: how many images go through it
 */
export async function detectorTraining(
  imageTokenizer: BinaryTokenizer | undefined,
  options: { batch: number; pool: number },
  rng: Rng,
) {
  const sprites = await loadSprites();
  const detector = SceneDetector.random(rng.split('scene-reader'));
  const pool = imageTokenizer ? reconstructedImages(sprites, imageTokenizer, options.pool, rng.split('pool')) : [];
  const task: SupervisedTask<DetectorBatch> = {
    name: 'scene-reader',
    variables: detector.parameters.variables,
    batch: (_step, own) => detectorBatch(sprites, pool, options.batch, own),
    loss: (batch) => detectorLoss(detector, batch),
  };
  return { detector, task };
}
