/**
 * DreamSim similarity: 1 - DreamSim's distance between an image and its reference, the R_sim of MM-R1.
 * Variants are metrics of their own; the name says which, and numbers of two of them are not comparable.
 */
import { DREAMSIM_BACKBONES, type DreamSim } from '../models/scorers/dreamsim';
import { referenceCosine } from './image-features';
import type { Reward } from './reward';

export interface DreamSimSimilarityOptions {
  /** Default: {@link dreamSimName}. */
  readonly name?: string;
  /** Images embedded at once; default 16. */
  readonly batch?: number;
}

/** 1 - distance, in [-1, 1]; of several references the mean. */
export function dreamSimSimilarity(
  model: Pick<DreamSim, 'config' | 'variant' | 'embed'>,
  options: DreamSimSimilarityOptions = {},
): Reward {
  // The distance is 1 - cosine, so what is left of 1 is the cosine.
  return referenceCosine(options.name ?? dreamSimName(model), (images) => model.embed(images, options.batch));
}

/** `dreamsim_ensemble`, `dreamsim_dino_vitb16` and their like; for shapes not published `.._HIDDENxLAYERS_pPATCH` follows. */
export function dreamSimName({ config, variant }: Pick<DreamSim, 'config' | 'variant'>): string {
  const odd = config.backbones.find(
    ({ name, hidden, layers, heads, patch }) =>
      hidden !== 768 || layers !== 12 || heads !== 12 || patch[0] !== DREAMSIM_BACKBONES[name].patch,
  );
  return `dreamsim_${variant}${odd ? `_${odd.hidden}x${odd.layers}_p${odd.patch[0]}` : ''}`;
}
