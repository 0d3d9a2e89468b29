/** CLIP-T: how well an image shows its prompt, to CLIP (Hessel et al. 2021, without their factor; DreamBooth, Sec. 4.1). */
import type { Clip } from '../models/scorers/clip';
import { clipName } from './clip-names';
import { featureCosines } from './feature-cosine';
import { imageFeatures } from './image-features';
import { promptFeatures } from './prompt-features';
import { defineReward, type Reward } from './reward';
import { scoreImages } from './seen';

export interface ClipTextOptions {
  /** Default: `clip_t` for a model of OpenAI ViT-B/32's shape; for another shape a name that says which. */
  readonly name?: string;
  /** Images and prompts embedded at once; default 16. */
  readonly batch?: number;
}

/** Cosine of the image's CLIP vector with the prompt's, unscaled, in [-1, 1]; NaN for an empty prompt. */
export function clipTextSimilarity(
  clip: Pick<Clip, 'config' | 'embedImages' | 'embedTexts'>,
  { name = clipName('clip_t', clip.config), batch = 16 }: ClipTextOptions = {},
): Reward {
  return defineReward(name, [-1, 1], (samples) =>
    scoreImages(samples, async (seen) => {
      const images = seen.map(({ image }) => image);
      const prompts = seen.map(({ text }) => text);
      const of = await imageFeatures((some) => clip.embedImages(some, batch), images);
      const like = await promptFeatures((texts) => clip.embedTexts(texts, batch), prompts);
      return featureCosines({ of, like: like.map((feature) => [feature]) });
    }),
  );
}
