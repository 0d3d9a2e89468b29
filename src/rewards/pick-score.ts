/** PickScore (Kirstain et al. 2023): what people would pick for the prompt. MM-R1's text reward is PickScore / 26. */
import type { Clip } from '../models/experts/clip';
import { pickScores } from '../models/experts/clip/pick-score';
import { clipName } from './clip-names';
import { pictureFeatures } from './picture-features';
import type { PictureTextSample } from './picture-text';
import { promptFeatures } from './prompt-features';
import type { ScoreResult, Scorer } from './scorer';

export interface PickScoreOptions {
  /** Default: `pickscore` for a model of the published one's shape; for another shape a name that says which. */
  readonly name?: string;
  /** The score is divided by this; default 1, 26 for MM-R1's reward. */
  readonly divideBy?: number;
  /** Pictures and prompts embedded at once; default 16. */
  readonly batch?: number;
}

/**
 * exp(logit_scale) times the cosine of prompt and picture, over `divideBy`; `parts.cosine` is the cosine. NaN for an
 * empty prompt or a broken picture.
 * @param clip a CLIP with PickScore's weights
 * @throws RangeError for a divisor that is not positive
 */
export function pickScoreScorer(
  clip: Pick<Clip, 'config' | 'scale' | 'embedPictures' | 'embedTexts'>,
  options: PickScoreOptions = {},
): Scorer<PictureTextSample> {
  const { divideBy = 1, batch = 16 } = options;
  if (!(divideBy > 0 && Number.isFinite(divideBy))) throw new RangeError(`PickScore cannot be divided by ${divideBy}`);
  const { scale } = clip;
  return {
    name: options.name ?? clipName('pickscore', clip.config),
    range: [-scale / divideBy, scale / divideBy],
    higherIsBetter: true,
    async score(samples) {
      const pictures = await pictureFeatures(
        (list) => clip.embedPictures(list, batch),
        samples.map(({ picture }) => picture),
      );
      const prompts = await promptFeatures(
        (texts) => clip.embedTexts(texts, batch),
        samples.map(({ text }) => text),
      );
      return samples.map((_, i): ScoreResult => {
        const [picture, prompt] = [pictures[i], prompts[i]];
        if ('missing' in picture) return { value: NaN, reason: picture.missing };
        if ('missing' in prompt) return { value: NaN, reason: prompt.missing };
        const [score] = pickScores(prompt, [picture], scale).scores;
        return { value: score / divideBy, parts: { cosine: score / scale } };
      });
    },
  };
}
