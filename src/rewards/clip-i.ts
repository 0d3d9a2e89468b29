/** CLIP-I: how alike an image and its references are to CLIP (Ruiz et al. 2023, DreamBooth, Sec. 4.1). */
import type { Clip } from '../models/scorers/clip';
import { clipName } from './clip-names';
import { referenceCosine } from './image-features';
import type { Reward } from './reward';

export interface ClipImageOptions {
  /** Default: `clip_i` for a model of OpenAI ViT-B/32's shape; for another shape a name that says which. */
  readonly name?: string;
  /** Images embedded at once; default 16. */
  readonly batch?: number;
}

/** Mean cosine of the image's CLIP vector with its references', unscaled, in [-1, 1]. */
export function clipImageSimilarity(
  clip: Pick<Clip, 'config' | 'embedImages'>,
  options: ClipImageOptions = {},
): Reward {
  return referenceCosine(options.name ?? clipName('clip_i', clip.config), (images) =>
    clip.embedImages(images, options.batch),
  );
}
