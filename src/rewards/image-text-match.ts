/**
 * ITM: the probability that an image and a text belong together, by a model that looks at both at once (BLIP, Li et al.
 * 2022; BLIP-2, Li et al. 2023). Sharper than a cosine for what stands where and how many, and dearer.
 */
import { comparePairs, type ImageTextScorer } from './image-text';
import { defineReward, type Reward } from './reward';
import { scoreImages } from './seen';

/** `itm_blip` or `itm_blip2`, after its model. An empty text is NaN. */
export function imageTextMatch(scorer: Pick<ImageTextScorer, 'name' | 'match'>): Reward {
  return defineReward(`itm_${scorer.name}`, [0, 1], (samples) =>
    scoreImages(samples, (seen) => comparePairs(seen, (images, texts) => scorer.match(images, texts))),
  );
}
