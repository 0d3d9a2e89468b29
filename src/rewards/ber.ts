/**
 * BER (UniCTokens-R1, Eq. 18): whether a picture shows what its prompt says, as the cosine of BLIP-2's vectors (ITC, of
 * the best query). The paper prints 1 - cosine and calls it a reward; a reward it is only the other way.
 */
import { oneByOne } from './one-by-one';
import { judgePairs, type PictureTextJudge, type PictureTextSample } from './picture-text';
import type { Scorer } from './scorer';

/** BER as a scorer: `ber` with BLIP-2; another judge's has its name (`ber_blip`). An empty text is NaN. */
export function berScorer(judge: PictureTextJudge): Scorer<PictureTextSample> {
  return {
    name: judge.name === 'blip2' ? 'ber' : `ber_${judge.name}`,
    range: [-1, 1],
    higherIsBetter: true,
    score: (samples) => oneByOne(samples, (some) => judgePairs(some, (p, t) => judge.cosine(p, t))),
  };
}
