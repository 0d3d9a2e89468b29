/**
 * The two supervised stages that give a subject its tokens (UniCTokens-R1, Sec. 3.1): understanding first (questions
 * about reference images), then generation (captions of the same images). Only the new rows learn. `joint` does
 * both at once: the ablation of Table 3.
 */
import path from 'node:path';
import * as z from 'zod';
import type { Rng } from '../engine';
import type { Image } from '../io';
import { option } from '../io/options';
import type {
  ConceptRows,
  EncodedImage,
  PersonalizableModel,
  SupervisedBatch,
  SupervisedExample,
} from '../models/unified';
import { drawnTask } from './drawn-task';
import { type LoopOptions, type StepReport, type SupervisedTask, trainSupervised } from './loop';

/** A reference image of the subject with its caption and questions, in which `<sks>` is the subject. */
export interface ConceptReference {
  readonly image: Image;
  readonly caption: string;
  readonly questions: readonly { readonly question: string; readonly answer: string }[];
}

/** Tokens of a subject and how they learn, for a recipe's group of options. */
export const conceptShape = {
  understanding: option(z.int().min(0), 16, 'K tokens.', { paper: 'UniCTokens-R1, Sec. 3.1' }),
  generation: option(z.int().min(0), 8, 'M tokens.', { paper: 'UniCTokens-R1, Sec. 3.1' }),
  initialization: option(
    z.enum(['two_stage', 'joint']),
    'two_stage',
    'One stage after the other, or both at once (Table 3).',
  ),
  epochs: option(z.int().positive(), 15, 'Passes over the references in each stage.'),
  steps: option(z.int().positive().nullable(), null, 'Optimizer steps of each stage; null: those of the epochs.'),
  learningRate: option(z.number().positive(), 1e-3, 'AdamW, of the new rows alone.'),
  understandingBatch: option(z.int().positive(), 4, 'Questions a step.'),
  generationBatch: option(z.int().positive(), 1, 'Images a step.'),
};

export interface ConceptStageOptions {
  /** Passes of each stage over its examples. Default 15. */
  readonly epochs?: number;
  /** Optimizer steps of each stage. Default: those of {@link epochs}. */
  readonly steps?: number;
  /** Questions a step. Default 4. */
  readonly understandingBatch?: number;
  /** Images a step. Default 1. */
  readonly generationBatch?: number;
  /** Default 1e-3, AdamW's. */
  readonly learningRate?: number;
  /** Default `two_stage`. */
  readonly initialization?: 'two_stage' | 'joint';
  readonly seed: number;
  /** Holds a run of each stage, to be gone on with. Default: nothing is kept. */
  readonly folder?: string;
}

export type ConceptStage = 'understanding' | 'generation' | 'joint';

export interface ConceptReport extends StepReport {
  readonly stage: ConceptStage;
}

/**
 * Reports of the stages in order, step by step.
 * @param rows names of what learns, as `model.addConceptTokens` gave them
 * @throws RangeError for a subject without references, or without questions about them
 */
export async function* learnConceptTokens(
  model: PersonalizableModel,
  rows: ConceptRows,
  references: readonly ConceptReference[],
  options: ConceptStageOptions,
): AsyncGenerator<ConceptReport, void> {
  if (references.length === 0) throw new RangeError('a subject needs at least one reference image');
  const examples = examplesOf(model, references);
  for (const stage of stagesOf(options)) {
    const task = stageTask(model, rows, examples, options, stage);
    for await (const report of trainSupervised(task, loopOptions(examples, options, stage))) yield { ...report, stage };
  }
}

interface Examples {
  readonly understand: readonly SupervisedExample[];
  readonly generate: readonly SupervisedExample[];
}

/** Every question and every caption once. Codes of images are made once, and not in every epoch. */
function examplesOf(model: PersonalizableModel, references: readonly ConceptReference[]): Examples {
  const { grid } = model.imageTokenizer;
  const codes = model.imageTokenizer.encode(references.map(({ image }) => image));
  const understand = references.flatMap(({ image, questions }) =>
    questions.map(({ question, answer }) => ({ task: 'understand', parts: [image, question], answer }) as const),
  );
  if (understand.length === 0) throw new RangeError('a subject needs at least one question about its references');
  const generate = references.map(({ caption }, i) => {
    const image: EncodedImage = { codes: codes[i], grid };
    return { task: 'generate', prompt: caption, image } as const;
  });
  return { understand, generate };
}

/** Optimizer steps of all stages together. */
export function conceptSteps(references: readonly ConceptReference[], options: ConceptStageOptions): number {
  const counts = { understand: references.flatMap(({ questions }) => questions).length, generate: references.length };
  return stagesOf(options).reduce((sum, stage) => sum + stepsOf(counts, options, stage), 0);
}

function stagesOf({ initialization }: ConceptStageOptions): readonly ConceptStage[] {
  return initialization === 'joint' ? ['joint'] : ['understanding', 'generation'];
}

/** Of one stage. @param counts questions and captions */
function stepsOf(
  counts: { readonly understand: number; readonly generate: number },
  { epochs = 15, steps, understandingBatch = 4, generationBatch = 1 }: ConceptStageOptions,
  stage: ConceptStage,
): number {
  const ofEpoch = {
    understanding: counts.understand / understandingBatch,
    generation: counts.generate / generationBatch,
  };
  const longest = stage === 'joint' ? Math.max(ofEpoch.generation, ofEpoch.understanding) : ofEpoch[stage];
  return steps ?? Math.ceil(epochs * longest);
}

function loopOptions(examples: Examples, options: ConceptStageOptions, stage: ConceptStage): LoopOptions {
  const { learningRate = 1e-3, seed, folder } = options;
  const counts = { understand: examples.understand.length, generate: examples.generate.length };
  const steps = stepsOf(counts, options, stage);
  return { steps, learningRate, weightDecay: 0, seed, folder: folder && path.join(folder, stage) };
}

function stageTask(
  model: PersonalizableModel,
  rows: ConceptRows,
  { understand, generate }: Examples,
  { understandingBatch = 4, generationBatch = 1 }: ConceptStageOptions,
  stage: ConceptStage,
): SupervisedTask<SupervisedBatch> {
  const learning = Object.values(rows) as readonly string[];
  const draw = (rng: Rng): SupervisedExample[] => {
    const of = (from: readonly SupervisedExample[], count: number) =>
      Array.from({ length: count }, () => rng.pick(from));
    return [
      ...(stage === 'generation' ? [] : of(understand, understandingBatch)),
      ...(stage === 'understanding' ? [] : of(generate, generationBatch)),
    ];
  };
  return drawnTask(model, { name: `concept ${stage}`, learning, draw });
}
