/**
 * How the mini world's scorers are trained: the scene detector, which evaluation uses and no reward does, and mini_clip,
 * which rewards use and evaluation does not, like mini_face and mini_figure. Hyper-parameters stand here; `unilab train
 * reader`, `clip`, `face` and `figure` run it.
 */
import { Rng } from '../../engine';
import type { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import type { LoopOptions } from '../../sft/loop';
import { type ClipOptions, clipTraining } from './clip-task';
import { faceTraining } from './face-task';
import { figureTraining } from './figure-task';
import { detectorTraining } from './detector-task';

type ScorerRecipe = Pick<LoopOptions, 'steps' | 'learningRate' | 'weightDecay' | 'seed'>;

/** Training of the scene detector. */
export const DETECTOR_RECIPE: ScorerRecipe & { batch: number; pool: number } = {
  steps: 700,
  batch: 48,
  pool: 1500,
  learningRate: 2e-3,
  weightDecay: 0.01,
  seed: 11,
};

/** Training of mini_clip: 64 images a batch, in groups of four that differ in one thing. */
export const CLIP_RECIPE: ScorerRecipe & ClipOptions = {
  steps: 900,
  groups: 16,
  variants: 4,
  pool: 240,
  learningRate: 1.5e-3,
  weightDecay: 0.01,
  seed: 12,
};

/** Training of mini_face, on crops of generic people. */
export const FACE_RECIPE: ScorerRecipe & { batch: number; pool: number } = {
  steps: 500,
  batch: 64,
  pool: 1200,
  learningRate: 2e-3,
  weightDecay: 0.01,
  seed: 13,
};

/** Training of mini_figure, on crops of generic people, animals and things. */
export const FIGURE_RECIPE: ScorerRecipe & { batch: number; pool: number } = {
  ...FACE_RECIPE,
  steps: 800,
  pool: 1800,
  seed: 14,
};

/** The detector's task with fresh weights. @param imageTokenizer the trained image tokenizer */
export function trainDetector(imageTokenizer: MagvitTokenizer | undefined, seed = DETECTOR_RECIPE.seed) {
  return detectorTraining(imageTokenizer, DETECTOR_RECIPE, new Rng(seed));
}

/** mini_clip's task with fresh weights. @param imageTokenizer the trained image tokenizer */
export function trainClip(imageTokenizer: MagvitTokenizer | undefined, seed = CLIP_RECIPE.seed) {
  return clipTraining(imageTokenizer, CLIP_RECIPE, new Rng(seed));
}

/** mini_face's task with fresh weights. @param imageTokenizer the trained image tokenizer */
export function trainFace(imageTokenizer: MagvitTokenizer | undefined, seed = FACE_RECIPE.seed) {
  return faceTraining(imageTokenizer, FACE_RECIPE, new Rng(seed));
}

/** mini_figure's task with fresh weights. @param imageTokenizer the trained image tokenizer */
export function trainFigure(imageTokenizer: MagvitTokenizer | undefined, seed = FIGURE_RECIPE.seed) {
  return figureTraining(imageTokenizer, FIGURE_RECIPE, new Rng(seed));
}
