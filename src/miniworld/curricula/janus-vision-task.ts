/**
 * First lessons for Janus' vision tower: to name what each patch shows. The published model starts from SigLIP's tower,
 * which knows images already; a fresh one is found out by the language model only after it has learned to guess.
 */
import { crossEntropy, type Rng, tf } from '../../engine';
import { visionTokens } from '../../models/janus/config';
import type { JanusNetwork } from '../../models/janus/network';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { partOf } from './janus-tokenizer-task';

/** Whether a parameter is the vision tower's; the aligner is not. */
export function isTower(name: string): boolean {
  return name.startsWith('model.vision_model.');
}

/** An image, and for every thing that is to be named the class of each patch, row by row. */
export interface LabeledImage {
  readonly pixels: Uint8Array;
  readonly labels: Readonly<Record<string, ArrayLike<number>>>;
  /** Hue of what each patch shows, degrees; NaN where it is not asked. */
  readonly hues?: ArrayLike<number>;
}

export interface VisionTrainingOptions {
  /** Images a batch. */
  readonly batch: number;
  /** Height and width of the images, pixels. */
  readonly size: number;
  /** What is to be named, and how many classes of it there are. */
  readonly classes: Readonly<Record<string, number>>;
  /**
   * Weight of the hue, as a point on the unit circle: unlike a class, it can be read between the hues that a kind was
   * shown in. Default 0: it is not learned.
   */
  readonly hue?: number;
}

export interface VisionBatch {
  /** `[batch, height, width, 3]` in [-1, 1]. */
  readonly pixels: tf.Tensor4D;
  /** `[batch * patches]` int32 by name. */
  readonly labels: Readonly<Record<string, tf.Tensor1D>>;
  /** Cosine and sine of hues, `[batch * patches, 2]`, and 1 where they are scored, `[batch * patches, 1]`. */
  readonly hues?: { readonly points: tf.Tensor2D; readonly scored: tf.Tensor2D };
}

/**
 * The tower's task: one linear head for each thing to be named and one for hues, thrown away afterwards. Loss: the sum
 * of their mean cross-entropies and of the hues' mean squared error; the share that is named right is logged.
 * @throws RangeError for labels that are not one a patch
 */
export function janusVisionTask(
  network: JanusNetwork,
  source: (rng: Rng) => LabeledImage,
  { batch, size, classes, hue = 0 }: VisionTrainingOptions,
): SupervisedTask<VisionBatch> {
  const { config } = network;
  const { vision_model } = network.layers.model;
  const patches = visionTokens(config);
  const width = config.vision.hidden_size;
  const headOf = (count: number) => tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>([width, count])));
  const heads = Object.fromEntries(Object.entries(classes).map(([name, count]) => [name, headOf(count)]));
  const hueHead = hue > 0 ? headOf(2) : undefined;
  const named = Object.fromEntries(
    Object.entries({ ...heads, ...(hueHead ? { hue: hueHead } : {}) }).map(([name, head]) => [`heads.${name}`, head]),
  );
  return {
    name: 'janus-vision',
    variables: { ...partOf(network, isTower), ...named },
    batch: (_step, rng) => {
      const images = Array.from({ length: batch }, (_, i) => source(rng.split(i)));
      const labels = Object.keys(classes).map((name) => {
        for (const image of images)
          if (image.labels[name].length !== patches)
            throw new RangeError(`'${name}' has ${image.labels[name].length} labels, the image ${patches} patches`);
        const flat = images.flatMap((image) => Array.from(image.labels[name]));
        return [name, tf.tensor1d(flat, 'int32')] as const;
      });
      const pixels = pixelsTensor(
        images.map((image) => image.pixels),
        size,
        size,
      );
      const hues = hueHead && hueTargets(images, patches);
      return { pixels, labels: Object.fromEntries(labels), ...(hues ? { hues } : {}) };
    },
    loss: ({ pixels, labels, hues }) => {
      const features = tf.reshape<tf.Rank.R2>(vision_model.forward(pixels), [-1, width]);
      const metrics: Record<string, tf.Scalar> = {};
      const losses = Object.entries(heads).map(([name, head]) => {
        const logits = tf.matMul(features, head);
        metrics[name] = crossEntropy(logits, labels[name]);
        metrics[`${name}_right`] = tf.mean(tf.cast(tf.equal(tf.argMax(logits, 1), labels[name]), 'float32'));
        return metrics[name];
      });
      if (hueHead && hues) {
        metrics.hue = hueError(tf.matMul(features, hueHead), hues);
        losses.push(tf.mul(metrics.hue, hue));
      }
      return { loss: tf.addN<tf.Scalar>(losses), metrics };
    },
  };
}

/** @throws RangeError for images without hues, or with another number of them than of patches */
function hueTargets(images: readonly LabeledImage[], patches: number): NonNullable<VisionBatch['hues']> {
  const hues = images.flatMap(({ hues: own }) => {
    if (own?.length !== patches)
      throw new RangeError(`${own?.length ?? 'no'} hues for the ${patches} patches of an image`);
    return Array.from(own);
  });
  const points = hues.flatMap((degrees) => {
    const angle = Number.isNaN(degrees) ? 0 : (degrees * Math.PI) / 180;
    return [Math.cos(angle), Math.sin(angle)];
  });
  return {
    points: tf.tensor2d(points, [hues.length, 2]),
    scored: tf.tensor2d(
      hues.map((degrees) => (Number.isNaN(degrees) ? 0 : 1)),
      [hues.length, 1],
    ),
  };
}

/** Mean squared distance to the true points, over those that are scored. */
function hueError(guesses: tf.Tensor, { points, scored }: NonNullable<VisionBatch['hues']>): tf.Scalar {
  const squares = tf.sum(tf.mul(tf.squaredDifference(guesses, points), scored));
  return tf.div(squares, tf.maximum(tf.sum(scored), 1));
}
