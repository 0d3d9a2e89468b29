/**
 * How the small scorers are trained: the scene detector, which evaluation uses and no reward does, and mini_clip,
 * mini_face and mini_figure, which rewards use and evaluation does not.
 */
import { Rng } from '../../engine';
import type { BinaryTokenizer } from './images';
import type { SupervisedTask } from '../../sft/loop';
import { type ClipOptions, clipTraining } from './clip-task';
import { detectorTraining } from './detector-task';
import { faceTraining } from './face-task';
import { figureTraining } from './figure-task';

export interface ScorerStage {
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly seed: number;
}

interface PooledStage extends ScorerStage {
  /** Images, or crops of figures, a batch. */
  readonly batch: number;
  /** Images that have gone through the image tokenizer: half of each batch comes from them. */
  readonly pool: number;
}

export const SCORER_STAGES = {
  /** What stands where, in which color, who it is, and the background. */
  detector: {
    steps: 700,
    learningRate: 2e-3,
    weightDecay: 0.01,
    seed: 11,
    batch: 48,
    pool: 1500,
  } satisfies PooledStage,
  /** Which caption belongs to which image: 64 images a batch, in groups of four that differ in one thing. */
  clip: {
    steps: 900,
    learningRate: 1.5e-3,
    weightDecay: 0.01,
    seed: 12,
    groups: 16,
    variants: 4,
    pool: 240,
  } satisfies ScorerStage & ClipOptions,
  /** Attributes of generic people. */
  face: {
    steps: 500,
    learningRate: 2e-3,
    weightDecay: 0.01,
    seed: 13,
    batch: 64,
    pool: 1200,
  } satisfies PooledStage,
  /** Attributes of generic people, animals and objects. */
  figure: {
    steps: 800,
    learningRate: 2e-3,
    weightDecay: 0.01,
    seed: 14,
    batch: 64,
    pool: 1800,
  } satisfies PooledStage,
} as const;

export type ScorerStageName = keyof typeof SCORER_STAGES;

/** A scorer with fresh weights, and its task. */
export interface ScorerTraining {
  readonly task: SupervisedTask<unknown>;
  readonly save: (folder: string) => Promise<void>;
}

/** @param imageTokenizer the trained one; without it no image goes through it */
export async function scorerTraining(
  name: ScorerStageName,
  imageTokenizer: BinaryTokenizer | undefined,
  seed: number,
): Promise<ScorerTraining> {
  const rng = new Rng(seed);
  switch (name) {
    case 'detector': {
      const { detector, task } = await detectorTraining(imageTokenizer, SCORER_STAGES.detector, rng);
      return { task, save: (folder) => detector.save(folder) };
    }
    case 'clip': {
      const { clip, task } = await clipTraining(imageTokenizer, SCORER_STAGES.clip, rng);
      return { task, save: (folder) => clip.save(folder) };
    }
    case 'face': {
      const { face, task } = await faceTraining(imageTokenizer, SCORER_STAGES.face, rng);
      return { task, save: (folder) => face.save(folder) };
    }
    case 'figure': {
      const { figure, task } = await figureTraining(imageTokenizer, SCORER_STAGES.figure, rng);
      return { task, save: (folder) => figure.save(folder) };
    }
  }
}
