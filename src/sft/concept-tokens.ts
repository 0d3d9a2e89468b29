/**
 * The two supervised stages that give a concept its tokens (UniCTokens-R1, Sec. 3.1): understanding first (questions
 * about reference pictures), then generation (captions of the same pictures). Only the new rows learn. `joint` does
 * both at once: the ablation of Table 3.
 */
import { type Stream, tf } from '../engine';
import { textToImageExample } from '../models/showo/layout';
import { packPicture } from '../models/showo/packed';
import type { PackedRow } from '../nn/packed-rows';
import type { ConceptTokens } from '../models/showo/concept-tokens';
import type { ShowoModel } from '../models/showo/model';
import { type LoopOptions, type StepReport, type SupervisedTask, trainSupervised } from './loop';
import { answerLoss, maskedPositions, pictureLoss } from './train-showo';

/** A reference picture of the concept as codes, with its caption and questions as ids (`<sks>` not yet replaced). */
export interface ConceptReference {
  readonly codes: Int32Array;
  readonly caption: readonly number[];
  readonly questions: readonly { readonly question: readonly number[]; readonly answer: readonly number[] }[];
}

export interface ConceptStageOptions {
  /** Optimiser steps of each stage. */
  readonly steps: number;
  /** Examples a step: understanding 4 and generation 1 in the paper. */
  readonly understandingBatch: number;
  readonly generationBatch: number;
  /** 1e-3 in the paper. */
  readonly learningRate: number;
  readonly initialisation: 'two_stage' | 'joint';
  readonly seed: number;
}

type Row = Parameters<typeof pictureLoss>[1][number];

interface StageBatch {
  readonly answers: readonly PackedRow[];
  readonly pictures: readonly Row[];
}

/** Reports of both stages in order, named `understanding`, `generation` or `joint`. */
export async function* learnConceptTokens(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  options: ConceptStageOptions,
): AsyncGenerator<StepReport & { stage: string }> {
  if (references.length === 0) throw new RangeError('a concept needs at least one reference picture');
  model.extra = tokens;
  const stages = options.initialisation === 'joint' ? (['joint'] as const) : (['understanding', 'generation'] as const);
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
    batch: (_step, stream) => ({
      answers: stage === 'generation' ? [] : answerRows(model, tokens, references, options.understandingBatch, stream),
      pictures:
        stage === 'understanding' ? [] : pictureRows(model, tokens, references, options.generationBatch, stream),
    }),
    loss: ({ answers, pictures }) => {
      const metrics: Record<string, tf.Scalar> = {};
      if (answers.length > 0) metrics.mmu = answerLoss(model, answers);
      if (pictures.length > 0) metrics.t2i = pictureLoss(model, pictures);
      return { loss: tf.addN<tf.Scalar>(Object.values(metrics)), metrics };
    },
  };
}

function answerRows(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  count: number,
  stream: Stream,
): PackedRow[] {
  return Array.from({ length: count }, () => {
    const reference = stream.pick(references);
    const { question, answer } = stream.pick(reference.questions);
    const turn = { question: tokens.expand(question), answer: tokens.asAnswer(answer) };
    return packPicture(model.config, reference.codes, [turn]);
  });
}

function pictureRows(
  model: ShowoModel,
  tokens: ConceptTokens,
  references: readonly ConceptReference[],
  count: number,
  stream: Stream,
): Row[] {
  return Array.from({ length: count }, () => {
    const reference = stream.pick(references);
    return textToImageExample(
      model.config,
      tokens.expand(reference.caption),
      reference.codes,
      maskedPositions(model.config.num_vq_tokens, stream),
    );
  });
}
