/** PickScore (Kirstain et al. 2023): what people would pick for the prompt. MM-R1's text reward is PickScore / 26. */
import type { Clip } from '../models/scorers/clip';
import { pickScores } from '../models/scorers/clip/pick-score';
import { clipName } from './clip-names';
import { imageFeatures } from './image-features';
import { promptFeatures } from './prompt-features';
import { defineReward, type Reward, type Score } from './reward';
import { scoreImages } from './seen';

export interface PickScoreOptions {
  /** Default: `pickscore` for a model of the published one's shape; for another shape a name that says which. */
  readonly name?: string;
  /** The score is divided by this; default 1, 26 for MM-R1's reward. */
  readonly divideBy?: number;
  /** Images and prompts embedded at once; default 16. */
  readonly batch?: number;
}

/**
 * exp(logit_scale) times the cosine of prompt and image, over `divideBy`; `parts.cosine` is the cosine. NaN for an
 * empty prompt or a broken image.
 * @param clip a CLIP with PickScore's weights
 * @throws RangeError for a divisor that is not positive
 */
export function pickScore(
  clip: Pick<Clip, 'config' | 'scale' | 'embedImages' | 'embedTexts'>,
  { name = clipName('pickscore', clip.config), divideBy = 1, batch = 16 }: PickScoreOptions = {},
): Reward {
  if (!(divideBy > 0 && Number.isFinite(divideBy))) throw new RangeError(`PickScore cannot be divided by ${divideBy}`);
  const { scale } = clip;
  const bound = scale / divideBy;
  return defineReward(name, [-bound, bound], (samples) =>
    scoreImages(samples, async (seen) => {
      const pixels = seen.map(({ image }) => image);
      const texts = seen.map(({ text }) => text);
      const images = await imageFeatures((list) => clip.embedImages(list, batch), pixels);
      const prompts = await promptFeatures((list) => clip.embedTexts(list, batch), texts);
      return seen.map((_, i): Score => {
        const [image, prompt] = [images[i], prompts[i]];
        if ('missing' in image) return { value: NaN, reason: image.missing };
        if ('missing' in prompt) return { value: NaN, reason: prompt.missing };
        const [score] = pickScores(prompt, [image], scale).scores;
        return { value: score / divideBy, parts: { cosine: score / scale } };
      });
    }),
  );
}
