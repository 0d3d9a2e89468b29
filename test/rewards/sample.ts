/** Samples as rewards see them, from what a test cares about. */
import type { Image } from '../../src/io';
import type { RewardSample } from '../../src/rewards';

export interface SampleParts<Truth> {
  readonly image?: Image;
  /** What the image was asked to show. */
  readonly text?: string;
  readonly completion?: string;
  readonly references?: readonly Image[];
  readonly truth?: Truth;
}

export function sampleOf<Truth = unknown>(parts: SampleParts<Truth>): RewardSample<Truth> {
  const { image, text = 'an image', completion = '', references = [], truth } = parts;
  const lazy = image && {
    bytes: () => Promise.resolve(image),
    pixels: (): never => {
      throw new Error('this sample has bytes alone');
    },
  };
  return { prompt: text, outputs: [], completion, image: lazy, references, truth: truth as Truth };
}
