/**
 * The two supervised stages that give a concept its tokens (UniCTokens-R1, Sec. 3.1): understanding first (questions
 * about reference images), then generation (captions of the same images). Only the new rows learn. `joint` does
 * both at once: the ablation of Table 3.
 */
import { type Rng, tf } from '../engine';
import { textToImageExample } from '../models/showo/layout';
import { packImage } from '../models/showo/packed';
import type { PackedRow } from '../nn/packed-rows';
import type { ConceptTokens } from '../models/showo/concept-tokens';
import type { ShowoModel } from '../models/showo/model';
import { type LoopOptions, type StepReport, type SupervisedTask, trainSupervised } from './loop';
import { answerLoss, maskedPositions, imageLoss } from './train-showo';

/** A reference image of the concept as codes, with its caption and questions as ids (`<sks>` not yet replaced). */
export interface ConceptReference {
  readonly codes: Int32Array;
  readonly caption: readonly number[];
  readonly questions: readonly { readonly question: readonly number[]; readonly answer: readonly number[] }[];
}

export interface ConceptStageOptions {
  /** Optimizer steps of each stage. */
  readonly steps: number;
  /** Examples a step: understanding 4 and generation 1 in the paper. */
  readonly understandingBatch: number;
  readonly generationBatch: number;
  /** 1e-3 in the paper. */
  readonly learningRate: number;
  readonly initialization: 'two_stage' | 'joint';
  readonly seed: number;
}

type Row = Parameters<typeof imageLoss>[1][number];

interface StageBatch {
  readonly answers: readonly PackedRow[];
  readonly images: readonly Row[];
}

/** Reports of both stages in order, named `understanding`, `generation` or `joint`. */
export async function* learnConceptTokens(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  options: ConceptStageOptions,
): AsyncGenerator<StepReport & { stage: string }> {
  if (references.length === 0) throw new RangeError('a concept needs at least one reference image');
  model.extra = tokens;
  const stages = options.initialization === 'joint' ? (['joint'] as const) : (['understanding', 'generation'] as const);
  const loop: LoopOptions = {
    steps: options.steps,
    learningRate: options.learningRate,
    weightDecay: 0,
    seed: options.seed,
  };
  for (const stage of stages) {
    for await (const report of trainSupervised(stageTask(model, tokens, references, options, stage), loop))
      yield { ...report, stage };
  }
}

function stageTask(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  options: ConceptStageOptions,
  stage: string,
): SupervisedTask<StageBatch> {
  return {
    name: `concept ${stage}`,
    variables: tokens.variables,
    batch: (_step, rng) => ({
      answers: stage === 'generation' ? [] : answerRows(model, tokens, references, options.understandingBatch, rng),
      images: stage === 'understanding' ? [] : imageRows(model, tokens, references, options.generationBatch, rng),
    }),
    loss: ({ answers, images }) => {
      const metrics: Record<string, tf.Scalar> = {};
      if (answers.length > 0) metrics.mmu = answerLoss(model, answers);
      if (images.length > 0) metrics.t2i = imageLoss(model, images);
      return { loss: tf.addN<tf.Scalar>(Object.values(metrics)), metrics };
    },
  };
}

function answerRows(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  count: number,
  rng: Rng,
): PackedRow[] {
  return Array.from({ length: count }, () => {
    const reference = rng.pick(references);
    const { question, answer } = rng.pick(reference.questions);
    const turn = { question: tokens.expand(question), answer: tokens.asAnswer(answer) };
    return packImage(model.config, reference.codes, [turn]);
  });
}

function imageRows(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  count: number,
  rng: Rng,
): Row[] {
  return Array.from({ length: count }, () => {
    const reference = rng.pick(references);
    return textToImageExample(
      model.config,
      tokens.expand(reference.caption),
      reference.codes,
      maskedPositions(model.config.num_vq_tokens, rng),
    );
  });
}
