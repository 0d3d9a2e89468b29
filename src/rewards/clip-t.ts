/** CLIP-T: how well an image shows its prompt, to CLIP (Hessel et al. 2021, without their factor; DreamBooth, Sec. 4.1). */
import type { Clip } from '../models/scorers/clip';
import { clipName } from './clip-names';
import { featureCosine } from './feature-cosine';
import { imageFeatures } from './image-features';
import type { ImageTextSample } from './image-text';
import { promptFeatures } from './prompt-features';
import type { Scorer } from './scorer';

export interface ClipTextScorerOptions {
  /** Default: `clip_t` for a model of OpenAI ViT-B/32's shape; for another shape a name that says which. */
  readonly name?: string;
  /** Images and prompts embedded at once; default 16. */
  readonly batch?: number;
}

/** Cosine of the image's CLIP vector with the prompt's, unscaled, in [-1, 1]; NaN for an empty prompt. */
export function clipTextScorer(
  clip: Pick<Clip, 'config' | 'embedImages' | 'embedTexts'>,
  options: ClipTextScorerOptions = {},
): Scorer<ImageTextSample> {
  const { batch = 16 } = options;
  return featureCosine<ImageTextSample>({
    name: options.name ?? clipName('clip_t', clip.config),
    of: (samples) =>
      imageFeatures(
        (images) => clip.embedImages(images, batch),
        samples.map(({ image }) => image),
      ),
    like: async (samples) => {
      const prompts = samples.map(({ text }) => text);
      return (await promptFeatures((texts) => clip.embedTexts(texts, batch), prompts)).map((feature) => [feature]);
    },
  });
}
