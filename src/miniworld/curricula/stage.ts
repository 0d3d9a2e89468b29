/** What every stage of a curriculum says: how long, how fast, how much at once, and of what. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { writeSafetensors } from '../../io';
import type { ParamStore } from '../../nn/store';
import type { LoopOptions, SupervisedTask } from '../../sft/loop';
import { IMAGE_SIZE } from '../world';
import type { WrongShare } from '../../nn/code-noise';
import type { SceneMixture } from './scenes';

export type LoopSettings = Pick<
  LoopOptions,
  'steps' | 'scheduleSteps' | 'learningRate' | 'weightDecay' | 'seed' | 'optimizer'
>;

/** A stage that learns from images alone. */
export interface ImageStage extends LoopSettings {
  /** Images a batch. */
  readonly batch: number;
}

/** A stage that learns to draw what is said and to say what is seen. */
export interface LanguageStage extends LoopSettings {
  readonly batch: {
    /** Captioned images. */
    readonly images: number;
    /** How many of them questions are asked about. */
    readonly asked: number;
    /** Questions about each of those at most. */
    readonly questions: number;
    /** Texts to be read, each with its questions. */
    readonly texts: number;
  };
  /** Of drawing, of answering about images, of reading, of interleaved sequences (Chameleon). */
  readonly weights: { readonly t2i: number; readonly mmu: number; readonly lm: number; readonly xcot?: number };
  readonly noise: {
    /** Chance that a caption is dropped, so that guidance has an image without one. */
    readonly cfgDropout: number;
    /** Chance that a word of an answer is another one where the model reads it. Default 0. */
    readonly answerCorruption?: number;
    /** The same for words of questions. Default 0. */
    readonly questionNoise?: number;
    /** `answerCorruption` of answers about texts, whose questions then have no noise. Default: as about images. */
    readonly textCorruption?: number;
    /** Chance that a code of an image that is asked about has a bit flipped. Default 0. */
    readonly codeBitFlip?: number;
    /** Chance that an image is drawn behind wrong codes, see `withWrongCodes`. Default 0. */
    readonly wrongCodes?: number;
    /** How many of its codes are wrong then. Default `uniform`. */
    readonly wrongShare?: WrongShare;
  };
  readonly scenes: SceneMixture;
}

/** What the models' training tasks take. */
export function taskOptions({ batch, noise, weights }: LanguageStage) {
  return { ...batch, ...noise, weights, size: IMAGE_SIZE };
}

/** A stage that is about to run. */
export interface PreparedStage {
  readonly task: SupervisedTask<unknown>;
  /** Saves the finished weights into the folder. */
  readonly save: (folder: string) => Promise<void>;
}

/** A row of a curriculum with what it takes to run it. */
export interface Stage {
  readonly settings: LoopSettings;
  /** Where its weights go, among the checkpoints. */
  readonly folder: string;
  /** Loads what the stage starts from. @throws Error naming the stage that makes it when it is not there */
  prepare(seed: number): Promise<PreparedStage>;
}

/** Saves weights alone, bf16. */
export async function saveParameters(file: string, parameters: Pick<ParamStore, 'values'>): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true });
  const values = Object.entries(await parameters.values());
  const tensors = values.map(([name, value]) => [name, { ...value, dtype: 'BF16' as const }] as const);
  await writeSafetensors(file, Object.fromEntries(tensors));
}
