/** Images with texts, and who compares them: what BER, ITM and caption similarity have in common. */
import type { Image } from '../io';
import type { Score } from './reward';
import type { SeenSample } from './seen';

/** Compares images with texts, pair by pair. Frozen. `BlipJudge` is one. */
export interface ImageTextScorer {
  /** `blip2`, `blip`, or the name of a stand-in. */
  readonly name: string;
  /** Cosines in [-1, 1]. */
  cosine(images: readonly Image[], texts: readonly string[]): Promise<number[]>;
  /** Probabilities that they belong together, in [0, 1]. */
  match(images: readonly Image[], texts: readonly string[]): Promise<number[]>;
}

/** @throws RangeError for an empty text */
export async function comparePairs(
  samples: readonly SeenSample[],
  compare: (images: readonly Image[], texts: readonly string[]) => Promise<number[]>,
): Promise<Score[]> {
  checkTexts(samples);
  const values = await compare(
    samples.map(({ image }) => image),
    samples.map(({ text }) => text),
  );
  return values.map((value) => ({ value }));
}

/** @throws RangeError for an empty text: nothing can be seen of it */
export function checkTexts(samples: readonly SeenSample[]): void {
  if (samples.some(({ text }) => text.trim() === '')) throw new RangeError('the text is empty');
}
