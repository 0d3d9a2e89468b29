/** A reward as a scorer of a suite's images. */
import type { ImageScorer, JudgedImage } from '../../data/judges';
import { tf } from '../../engine';
import { imagesToTensor } from '../../io';
import type { Reward } from '../../rewards';

export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** One after another: models in this process share its memory, and each fills the machine. */
export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}

/** A reward as a scorer of images. */
export function imageScorer(reward: Reward, one: InTurn = inTurn()): ImageScorer {
  return {
    name: reward.name,
    score: (images) =>
      one(async () => {
        const pixels: tf.Tensor4D[] = [];
        try {
          const scores = await reward(images.map((judged) => sampleOf(judged, pixels)));
          return scores.map(({ value }) => value);
        } finally {
          tf.dispose(pixels);
        }
      }),
  };
}

function sampleOf({ image, prompt, references }: JudgedImage, pixels: tf.Tensor4D[]) {
  const lazy = {
    bytes: () => Promise.resolve(image),
    pixels: () => {
      const own = tf.keep(imagesToTensor([image]));
      pixels.push(own);
      return own;
    },
  };
  return { prompt, outputs: [{ image: lazy }], completion: '', image: lazy, references, truth: undefined };
}
