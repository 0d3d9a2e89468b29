/**
 * DINO similarity: how alike an image and its references are to a network that learned without labels, so that it tells
 * subjects of one class apart (DreamBooth, Sec. 4.1). `dino_vits16` (Caron et al. 2021) and `dinov2_large` (Oquab et al.
 * 2024) are two metrics with two names; their numbers are not comparable.
 */
import type { Dinov2 } from '../models/scorers/dinov2';
import type { Vit } from '../models/scorers/vit';
import { referenceCosine } from './image-features';
import type { Reward } from './reward';

export interface DinoSimilarityOptions {
  /** Default: the published name for a model of a published shape (weights are not told apart); else one that says which. */
  readonly name?: string;
  /** Images embedded at once; default 16. */
  readonly batch?: number;
}

type Dino = Pick<Vit | Dinov2, 'config' | 'embed'>;

/** Sizes by hidden width, layers and heads. */
const SIZES: Readonly<Record<string, { readonly letter: string; readonly word: string }>> = {
  '384x12x6': { letter: 's', word: 'small' },
  '768x12x12': { letter: 'b', word: 'base' },
  '1024x24x16': { letter: 'l', word: 'large' },
  '1536x40x24': { letter: 'g', word: 'giant' },
};

/** Mean cosine of the image's class token with its references', in [-1, 1]. */
export function dinoSimilarity(model: Dino, options: DinoSimilarityOptions = {}): Reward {
  return referenceCosine(options.name ?? dinoName(model), (images) => model.embed(images, options.batch));
}

/** `dino_vits16`, `dinov2_large` and their like; `dino_vit_HIDDENxLAYERS_pPATCH` for shapes that were not published. */
export function dinoName({ config }: Pick<Dino, 'config'>): string {
  const { hidden, layers, heads, patch } = config;
  const family = config.model === 'dinov2' ? 'dinov2' : 'dino';
  const key = `${hidden}x${layers}x${heads}`;
  const size = Object.hasOwn(SIZES, key) ? SIZES[key] : undefined;
  if (size && family === 'dinov2' && patch[0] === 14) return `dinov2_${size.word}`;
  if (size && family === 'dino' && (patch[0] === 16 || patch[0] === 8) && (size.letter === 's' || size.letter === 'b'))
    return `dino_vit${size.letter}${patch[0]}`;
  return `${family}_vit_${hidden}x${layers}_p${patch[0]}`;
}
