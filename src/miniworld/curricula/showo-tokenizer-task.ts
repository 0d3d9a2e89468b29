/** Training the image tokenizer: reconstruction of images under look-up-free quantization. */
import { type Rng, tf } from '../../engine';
import { pixelsTensor } from '../../io';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import type { SupervisedTask } from '../../sft/loop';

export interface ImageBatchInput {
  /** `[batch, height, width, 3]` in [-1, 1]. */
  readonly pixels: tf.Tensor4D;
}

/** Makes a batch of images as RGB bytes. */
export type ImageSource = (rng: Rng) => Uint8Array;

/**
 * Loss: mean |x - y| + 2 mean (x - y)^2 + commitment + entropy. Neither a perceptual nor an adversarial term:
 * pictograms have flat colors and hard edges, and nothing to be imagined.
 */
export function magvitTask(
  tokenizer: MagvitTokenizer,
  source: ImageSource,
  batchSize: number,
  size: number,
): SupervisedTask<ImageBatchInput> {
  return {
    name: 'magvit',
    variables: tokenizer.parameters.variables,
    batch: (_step, rng) => {
      const images = Array.from({ length: batchSize }, (_, i) => source(rng.split(i)));
      return { pixels: pixelsTensor(images, size, size) };
    },
    loss: ({ pixels }) => {
      const out = tokenizer.reconstruct(pixels);
      const difference = tf.sub(out.pixels, pixels);
      const l1 = tf.mean<tf.Scalar>(tf.abs(difference));
      const l2 = tf.mean<tf.Scalar>(tf.square(difference));
      const loss = tf.addN([l1, tf.mul(l2, 2), out.commitment, out.entropy]) as tf.Scalar;
      return { loss, metrics: { l1, l2, commitment: out.commitment, entropy: out.entropy } };
    },
  };
}
