/**
 * ITM: the probability that an image and a text belong together, by a model that looks at both at once (BLIP, Li et al.
 * 2022; BLIP-2, Li et al. 2023). Sharper than a cosine for what stands where and how many, and dearer.
 */
import { withPerSampleFallback } from './one-by-one';
import { judgePairs, type ImageTextJudge, type ImageTextSample } from './image-text';
import type { Scorer } from './scorer';

/** `itm_blip` or `itm_blip2`, after its judge. An empty text is NaN. */
export function imageTextMatch(judge: ImageTextJudge): Scorer<ImageTextSample> {
  return {
    name: `itm_${judge.name}`,
    range: [0, 1],
    higherIsBetter: true,
    score: (samples) => withPerSampleFallback(samples, (some) => judgePairs(some, (p, t) => judge.match(p, t))),
  };
}
