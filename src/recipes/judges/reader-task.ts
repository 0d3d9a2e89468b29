/** Teaching the scene reader: what stands at each cell, its colour, who it is, where its centre lies, and the ground. */
import { loadSprites, PICTURE_SIZE, type SpriteSheet } from '../../data';
import { crossEntropy, type Stream, tf } from '../../engine';
import { cellTargets } from '../../eval/reader/labels';
import { readerForward } from '../../eval/reader/network';
import { SceneReader } from '../../eval/reader/reader';
import type { MagvitTokenizer } from '../../models/showo/magvit';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../sft/train-magvit';
import { augmented, readerPicture, reconstructions, shifted, type TruePicture } from './pictures';

/** Pictures and their truth, cells in one row after the other. */
export interface ReaderBatch {
  /** `[batch, 64, 64, 3]` in [-1, 1] */
  readonly pixels: tf.Tensor4D;
  /** `[cells]` int32 each */
  readonly category: tf.Tensor1D;
  readonly colour: tf.Tensor1D;
  readonly identity: tf.Tensor1D;
  /** `[cells, 2]` */
  readonly offset: tf.Tensor2D;
  /** `[cells]`, 1 where a figure has its centre */
  readonly present: tf.Tensor1D;
  /** `[batch]` int32 */
  readonly ground: tf.Tensor1D;
}

/** Largest move of a picture in pixels along each axis. */
const SHIFT = 3;

/** A batch and everything that is true of it: half of `pool` (where there is one), half rendered anew. */
export function readerBatch(
  sprites: SpriteSheet,
  pool: readonly TruePicture[],
  size: number,
  stream: Stream,
): ReaderBatch {
  const rows = Array.from({ length: size }, (_, i) => {
    const own = stream.fork(i);
    const { pixels, scene, concept } = i % 2 && pool.length > 0 ? own.pick(pool) : readerPicture(own, sprites);
    const [x, y] = own.uniform() < 0.5 ? [0, 0] : [own.int(2 * SHIFT + 1) - SHIFT, own.int(2 * SHIFT + 1) - SHIFT];
    return { pixels: x || y ? shifted(pixels, x, y) : pixels, targets: cellTargets(scene, concept?.name, [x, y]) };
  });
  const clean = pixelsTensor(rows.map((row) => row.pixels), PICTURE_SIZE, PICTURE_SIZE); // prettier-ignore
  const pixels = augmented(clean, stream.fork('augment'));
  clean.dispose();
  const ids = (key: 'category' | 'colour' | 'identity') =>
    tf.tensor1d(Int32Array.from(rows.flatMap((row) => Array.from(row.targets[key]))), 'int32');
  return {
    pixels,
    category: ids('category'),
    colour: ids('colour'),
    identity: ids('identity'),
    offset: tf.tensor2d(Float32Array.from(rows.flatMap((row) => Array.from(row.targets.offset))), [size * 64, 2]),
    present: tf.tensor1d(Float32Array.from(rows.flatMap((row) => Array.from(row.targets.present)))),
    ground: tf.tensor1d(rows.map((row) => row.targets.ground), 'int32'), // prettier-ignore
  };
}

/**
 * Loss: cross-entropy of the category summed over cells and divided by the number of cells with a figure (nearly all
 * cells are empty: a plain mean would hardly see the others), plus the means of colour, identity and ground where
 * they apply, plus the squared error of the centre.
 */
export function readerLoss(
  reader: SceneReader,
  batch: ReaderBatch,
): { loss: tf.Scalar; metrics: Record<string, tf.Scalar> } {
  const out = readerForward(reader.parameters, reader.trunk, batch.pixels);
  const figures = tf.maximum(tf.sum(batch.present), 1);
  const perFigure = tf.div(batch.category.size, figures);
  const category: tf.Scalar = tf.mul(crossEntropy(out.category, batch.category), perFigure);
  const colour = crossEntropy(out.colour, batch.colour);
  const identity = crossEntropy(out.identity, batch.identity);
  const ground = crossEntropy(out.ground, batch.ground);
  const missed = tf.mul(tf.square(tf.sub(out.offset, batch.offset)), tf.expandDims(batch.present, 1));
  const offset: tf.Scalar = tf.div(tf.sum(missed), figures);
  return {
    loss: tf.addN<tf.Scalar>([category, colour, identity, ground, offset]),
    metrics: { category, colour, identity, ground, offset },
  };
}

/** Pictures as the tokenizer gives them back, with their truth. */
export function reconstructedPictures(
  sprites: SpriteSheet,
  images: MagvitTokenizer,
  count: number,
  stream: Stream,
): TruePicture[] {
  const pictures = Array.from({ length: count }, (_, i) => readerPicture(stream.fork(i), sprites));
  const back = reconstructions(images, pictures.map((picture) => picture.pixels), stream.fork('bits')); // prettier-ignore
  return pictures.map((picture, i) => ({ ...picture, pixels: back[i] }));
}

/**
 * A fresh reader and its task.
 * @param images without it no picture goes through the tokenizer
 * @param options `pool`: how many pictures go through it
 */
export async function readerTraining(
  images: MagvitTokenizer | undefined,
  options: { batch: number; pool: number },
  stream: Stream,
) {
  const sprites = await loadSprites();
  const reader = SceneReader.random(stream.fork('scene-reader'));
  const pool = images ? reconstructedPictures(sprites, images, options.pool, stream.fork('pool')) : [];
  const task: SupervisedTask<ReaderBatch> = {
    name: 'scene-reader',
    variables: reader.parameters.variables,
    batch: (_step, own) => readerBatch(sprites, pool, options.batch, own),
    loss: (batch) => readerLoss(reader, batch),
  };
  return { reader, task };
}
