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
}

export interface VisionTrainingOptions {
  /** Images a batch. */
  readonly batch: number;
  /** Height and width of the images, pixels. */
  readonly size: number;
  /** What is to be named, and how many classes of it there are. */
  readonly classes: Readonly<Record<string, number>>;
}

export interface VisionBatch {
  /** `[batch, height, width, 3]` in [-1, 1]. */
  readonly pixels: tf.Tensor4D;
  /** `[batch * patches]` int32 by name. */
  readonly labels: Readonly<Record<string, tf.Tensor1D>>;
}

/**
 * The tower's task: one linear head for each thing to be named, thrown away afterwards. Loss: the sum of their mean
 * cross-entropies; the share that is named right is logged.
 * @throws RangeError for labels that are not one a patch
 */
export function janusVisionTask(
  network: JanusNetwork,
  source: (rng: Rng) => LabeledImage,
  { batch, size, classes }: VisionTrainingOptions,
): SupervisedTask<VisionBatch> {
  const { config } = network;
  const { vision_model } = network.layers.model;
  const patches = visionTokens(config);
  const width = config.vision.hidden_size;
  const heads = Object.fromEntries(
    Object.entries(classes).map(([name, count]) => [name, tf.tidy(() => tf.variable(tf.zeros([width, count])))]),
  );
  const named = Object.fromEntries(Object.entries(heads).map(([name, head]) => [`heads.${name}`, head]));
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
      return { pixels, labels: Object.fromEntries(labels) };
    },
    loss: ({ pixels, labels }) => {
      const features = tf.reshape<tf.Rank.R2>(vision_model.forward(pixels), [-1, width]);
      const metrics: Record<string, tf.Scalar> = {};
      const losses = Object.entries(heads).map(([name, head]) => {
        const logits = tf.matMul(features, head);
        metrics[name] = crossEntropy(logits, labels[name]);
        metrics[`${name}_right`] = tf.mean(tf.cast(tf.equal(tf.argMax(logits, 1), labels[name]), 'float32'));
        return metrics[name];
      });
      return { loss: tf.addN<tf.Scalar>(losses), metrics };
    },
  };
}
