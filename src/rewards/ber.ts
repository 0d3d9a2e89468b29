/**
 * BER (UniCTokens-R1, Eq. 18): whether an image shows what its prompt says, as the cosine of BLIP-2's vectors (ITC, of
 * the best query). The paper prints 1 - cosine and calls it a reward; a reward it is only the other way.
 */
import { comparePairs, type ImageTextScorer } from './image-text';
import { defineReward, type Reward } from './reward';
import { scoreImages } from './seen';

/** `ber_blip2`, or `ber_` and the name of a stand-in; in [-1, 1]. An empty text is NaN. */
export function berReward(scorer: Pick<ImageTextScorer, 'name' | 'cosine'>): Reward {
  return defineReward(`ber_${scorer.name}`, [-1, 1], (samples) =>
    scoreImages(samples, (seen) => comparePairs(seen, (images, texts) => scorer.cosine(images, texts))),
  );
}
