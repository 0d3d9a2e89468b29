/**
 * R_cycle (CoRL, Eq. 3): a prompt is drawn, the image is put into words again, and both are compared with where they
 * came from: 1 - LPIPS of the image and the real one, plus how far the new caption says what the prompt said. The paper
 * takes BLIP's captions and SPICE; the score of captions here is `spice_like`.
 */
import { tf } from '../engine';
import { type Image, imagesToTensor } from '../io';
import type { Captioner } from './caption-similarity';
import { checkTexts } from './image-text';
import { defineReward, type Reward, type Score } from './reward';
import { scoreImages } from './seen';
import { spiceLike } from './spice-like';

/** How unlike two images look, 0 for equal ones. Frozen. `Lpips` is one. */
export interface ImageDistance {
  /** As it stands in logs. */
  readonly name: string;
  /** @param a `[pairs, height, width, 3]` in [-1, 1] @param b the same shape @returns one a pair */
  distance(a: tf.Tensor4D, b: tf.Tensor4D): ArrayLike<number> | Promise<ArrayLike<number>>;
}

/**
 * `cycle_DISTANCE_CAPTIONER`, in [-inf, 2], with both halves as parts; the first reference is the real image. NaN with
 * the reason for a sample without one. `onCaption` is told what was said.
 */
export function cycleReward(
  distance: ImageDistance,
  captioner: Captioner,
  onCaption: (image: Image, caption: string) => void = () => undefined,
): Reward {
  return defineReward(`cycle_${distance.name}_${captioner.name}`, [-Infinity, 2], (samples) =>
    scoreImages(samples, async (seen) => {
      checkTexts(seen);
      const real = seen.map(({ references }) => realImage(references));
      const images = seen.map(({ image }) => image);
      const distances = await distancesOf(distance, real, images);
      const captions = await captioner.captions(images);
      return captions.map((caption, i): Score => {
        onCaption(images[i], caption);
        const parts = { visual: 1 - distances[i], textual: spiceLike(caption, seen[i].text) };
        return { value: parts.visual + parts.textual, parts };
      });
    }),
  );
}

function realImage([image]: readonly Image[]): Image {
  if (!image) throw new RangeError('there is no real image to compare with');
  return image;
}

/** Real images are resized to the size that was drawn. */
async function distancesOf(
  distance: ImageDistance,
  real: readonly Image[],
  drawn: readonly Image[],
): Promise<ArrayLike<number>> {
  const made: tf.Tensor[] = [];
  try {
    const b = imagesToTensor(drawn);
    made.push(b);
    const [, height, width] = b.shape;
    const a = tf.tidy(() =>
      tf.concat<tf.Tensor4D>(
        real.map((image) => {
          const pixels = imagesToTensor([image]);
          const fits = image.height === height && image.width === width;
          return fits ? pixels : tf.image.resizeBilinear(pixels, [height, width]);
        }),
      ),
    );
    made.push(a);
    return await distance.distance(a, b);
  } finally {
    tf.dispose(made);
  }
}
