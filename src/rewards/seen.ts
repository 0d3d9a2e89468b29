/** What rewards about images look at: samples that have an image, each on its own when one of them is broken. */
import type { Image } from '../io';
import type { RewardSample, Score } from './reward';

/** A sample whose image was decoded. */
export interface SeenSample {
  readonly image: Image;
  /** What the image was asked to show. */
  readonly text: string;
  readonly references: readonly Image[];
}

/**
 * Scores the samples that have an image. One without, one whose image cannot be decoded, and one that `score` throws at
 * are NaN with the reason, each alone.
 */
export async function scoreImages(
  samples: readonly RewardSample<unknown>[],
  score: (seen: readonly SeenSample[]) => Promise<readonly Score[]>,
): Promise<Score[]> {
  const looked = await Promise.all(samples.map(look));
  const seen = looked.filter((sample): sample is SeenSample => typeof sample !== 'string');
  const scores = await withPerSampleFallback(seen, score);
  let next = 0;
  return looked.map((sample) => (typeof sample === 'string' ? { value: NaN, reason: sample } : scores[next++]));
}

/** The sample with its image, or why it has none. */
async function look({ image, imagePrompt, prompt, references }: RewardSample<unknown>): Promise<SeenSample | string> {
  if (!image) return 'there is no image';
  try {
    return { image: await image.bytes(), text: imagePrompt ?? prompt, references };
  } catch (error) {
    return `the image cannot be decoded: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Scores a batch at once; if that throws, sample by sample, and those that throw again are NaN with the error's message. */
export async function withPerSampleFallback<S>(
  samples: readonly S[],
  score: (samples: readonly S[]) => Promise<readonly Score[]>,
): Promise<readonly Score[]> {
  if (samples.length === 0) return [];
  try {
    return await score(samples);
  } catch (error) {
    if (samples.length === 1) return [{ value: NaN, reason: error instanceof Error ? error.message : String(error) }];
    const out: Score[] = [];
    for (const sample of samples) out.push(...(await withPerSampleFallback([sample], score)));
    return out;
  }
}
