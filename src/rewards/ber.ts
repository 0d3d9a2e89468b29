/**
 * BER (UniCTokens-R1, Eq. 18): whether an image shows what its prompt says, as the cosine of BLIP-2's vectors (ITC, of
 * the best query). The paper prints 1 - cosine and calls it a reward; a reward it is only the other way.
 */
import { withPerSampleFallback } from './one-by-one';
import { judgePairs, type ImageTextJudge, type ImageTextSample } from './image-text';
import type { Scorer } from './scorer';

/** BER as a scorer: `ber` with BLIP-2; another judge's has its name (`ber_blip`). An empty text is NaN. */
export function berScorer(judge: ImageTextJudge): Scorer<ImageTextSample> {
  return {
    name: judge.name === 'blip2' ? 'ber' : `ber_${judge.name}`,
    range: [-1, 1],
    higherIsBetter: true,
    score: (samples) => withPerSampleFallback(samples, (some) => judgePairs(some, (p, t) => judge.cosine(p, t))),
  };
}
