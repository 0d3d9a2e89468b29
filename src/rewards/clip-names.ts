/** What a score of CLIP's is called: the published name for the model it is published with, else one that says which. */
import type { ClipConfig } from '../models/scorers/clip';

interface Shape {
  readonly hidden: number;
  readonly layers: number;
  readonly patch: number;
  readonly activation: string;
}

/** OpenAI's ViT-B/32, which CLIP-I and CLIP-T are defined with, and the ViT-H/14 that PickScore was trained from. */
const PUBLISHED: Readonly<Record<'clip_i' | 'clip_t' | 'pickscore', Shape>> = {
  clip_i: { hidden: 768, layers: 12, patch: 32, activation: 'quick_gelu' },
  clip_t: { hidden: 768, layers: 12, patch: 32, activation: 'quick_gelu' },
  pickscore: { hidden: 1280, layers: 32, patch: 14, activation: 'gelu' },
};

/** `score` itself, or `score_vit_HIDDENxLAYERS_pPATCH` for a vision tower of another shape. Weights are not told apart. */
export function clipName(score: keyof typeof PUBLISHED, { vision }: ClipConfig): string {
  const { hidden, layers, patch, activation } = PUBLISHED[score];
  const same =
    vision.hidden === hidden &&
    vision.layers === layers &&
    vision.patch[0] === patch &&
    vision.activation === activation;
  return same ? score : `${score}_vit_${vision.hidden}x${vision.layers}_p${vision.patch[0]}`;
}
