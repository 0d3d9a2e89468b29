/** Pictures with texts, and who judges them: what BER, ITM and caption similarity have in common. */
import type { Picture } from '../io';
import type { ScoreResult } from './scorer';

/** A picture and what it should show. */
export interface PictureTextSample {
  readonly picture: Picture;
  readonly text: string;
}

/** Judges pictures with texts, pair by pair. Frozen. `BlipJudge` is one. */
export interface PictureTextJudge {
  /** `blip2`, `blip`, or the name of a stand-in. */
  readonly name: string;
  /** Cosines in [-1, 1]. */
  cosine(pictures: readonly Picture[], texts: readonly string[]): Promise<number[]>;
  /** Probabilities that they belong together, in [0, 1]. */
  match(pictures: readonly Picture[], texts: readonly string[]): Promise<number[]>;
}

/** @throws RangeError for an empty text */
export async function judgePairs(
  samples: readonly PictureTextSample[],
  judge: (pictures: readonly Picture[], texts: readonly string[]) => Promise<number[]>,
): Promise<ScoreResult[]> {
  checkTexts(samples);
  const values = await judge(
    samples.map(({ picture }) => picture),
    samples.map(({ text }) => text),
  );
  return values.map((value) => ({ value }));
}

/** @throws RangeError for an empty text: nothing can be seen of it */
export function checkTexts(samples: readonly PictureTextSample[]): void {
  if (samples.some(({ text }) => text.trim() === '')) throw new RangeError('the text is empty');
}
