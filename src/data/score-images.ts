/** What several benchmarks of images share: each scorer's mean over the images that were drawn of a prompt. */
import type { Image } from '../io';
import type { ImageScorer } from './judges';

/**
 * Scorer -> mean over the images, and `drawn`, whether there is one. A scorer that cannot score any is left out. Where
 * nothing was drawn every score is 0: leaving it out would reward silence.
 */
export async function imageScores(
  scorers: readonly ImageScorer[],
  images: readonly Image[],
  prompt: string,
  references: readonly Image[],
): Promise<Record<string, number>> {
  if (images.length === 0) return { drawn: 0, ...Object.fromEntries(scorers.map(({ name }) => [name, 0])) };
  const out: Record<string, number> = { drawn: 1 };
  for (const scorer of scorers) {
    const values = await scorer.score(images.map((image) => ({ image, prompt, references })));
    const there = values.filter((value) => Number.isFinite(value));
    if (there.length > 0) out[scorer.name] = there.reduce((sum, value) => sum + value, 0) / there.length;
  }
  return out;
}
