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

/** Scores the samples that have an image; one without is NaN with the reason, and so is one that `score` throws at. */
export async function scoreImages(
  samples: readonly RewardSample<unknown>[],
  score: (seen: readonly SeenSample[]) => Promise<readonly Score[]>,
): Promise<Score[]> {
  const seen = await Promise.all(
    samples.map(
      async ({ image, imagePrompt, prompt, references }): Promise<SeenSample | undefined> =>
        image && { image: await image.bytes(), text: imagePrompt ?? prompt, references },
    ),
  );
  const scores = await withPerSampleFallback(
    seen.filter((sample) => sample !== undefined),
    score,
  );
  let next = 0;
  return seen.map((sample) => (sample ? scores[next++] : { value: NaN, reason: 'there is no image' }));
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
