/** CLIP-I: how alike an image and its references are to CLIP (Ruiz et al. 2023, DreamBooth, Sec. 4.1). */
import type { Clip } from '../models/scorers/clip';
import { clipName } from './clip-names';
import { referenceCosine, type ReferenceSample } from './image-features';
import type { Scorer } from './scorer';

export interface ClipImageScorerOptions {
  /** Default: `clip_i` for a model of OpenAI ViT-B/32's shape; for another shape a name that says which. */
  readonly name?: string;
  /** Images embedded at once; default 16. */
  readonly batch?: number;
}

/** Mean cosine of the image's CLIP vector with its references', unscaled, in [-1, 1]. */
export function clipImageScorer(
  clip: Pick<Clip, 'config' | 'embedImages'>,
  options: ClipImageScorerOptions = {},
): Scorer<ReferenceSample> {
  return referenceCosine(options.name ?? clipName('clip_i', clip.config), (images) =>
    clip.embedImages(images, options.batch),
  );
}
