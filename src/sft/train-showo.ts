/**
 * Training Show-o on the mini world (Show-o, Sec. 3.4): masked prediction of image codes given the caption, answers
 * to questions about the picture, and text alone; loss 1.0 t2i + 1.0 mmu + 0.1 lm as published, the last one an
 * option because here text alone carries the reasoning.
 */
import { crossEntropy, readValues, type Stream, tf } from '../engine';
import { answerLogits, type AnswerPrefix, scoredPositions } from '../models/showo/answers';
import { answerExample, textPrefix, textToImageExample, understandingPrefix } from '../models/showo/layout';
import { textToImageMask } from '../models/showo/masks';
import type { ShowoModel } from '../models/showo/model';
import { imageStart } from '../models/showo/layout';
import { showoLogits } from '../models/showo/transformer';
import type { SupervisedTask } from './loop';
import { pixelsTensor } from './train-magvit';

/** One picture with what is said and asked about it, as ids. */
export interface ShowoPictureExample {
  readonly pixels: Uint8Array;
  readonly caption: readonly number[];
  readonly questions: readonly { readonly question: readonly number[]; readonly answer: readonly number[] }[];
}

/** One text with its continuation, as ids. */
export interface ShowoTextExample {
  readonly question: readonly number[];
  readonly answer: readonly number[];
}

export interface ShowoSource {
  picture(stream: Stream): ShowoPictureExample;
  /** @param short also texts that are easier to read: part of the later training, see {@link TextPhase} */
  text(stream: Stream, short: boolean): ShowoTextExample;
}

/**
 * A later part of the training that reads more text, short texts among it: copying from one fact is learned quickly,
 * and finding the right one of six builds on it.
 */
export interface TextPhase {
  /** First step of this part. */
  readonly from: number;
  readonly texts: number;
  /** Weight of the text loss. */
  readonly lm: number;
}

export interface ShowoTrainingOptions {
  /** Captioned pictures a batch. */
  readonly pictures: number;
  /** Questions a batch, asked about the first pictures. */
  readonly questions: number;
  /** Texts a batch. */
  readonly texts: number;
  /** From a certain step on: more, and shorter, texts. */
  readonly textPhase?: TextPhase;
  /** Loss weights; Show-o's are 1, 1, 0.1. */
  readonly weights?: { readonly t2i: number; readonly mmu: number; readonly lm: number };
  /** Chance that the caption is dropped (for guidance). Default 0.1. */
  readonly conditionDrop?: number;
  /** Height and width of the pictures, pixels. */
  readonly size: number;
}

interface Row {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

export interface ShowoBatch {
  readonly images: readonly Row[];
  readonly answers: readonly Row[];
  readonly texts: readonly Row[];
  readonly lmWeight: number;
}

/** Mask rate of a training picture: cos(pi u / 2), at least one position. */
export function maskedPositions(count: number, stream: Stream): Uint8Array {
  const hidden = Math.max(1, Math.round(count * Math.cos((stream.uniform() * Math.PI) / 2)));
  const out = new Uint8Array(count);
  for (const i of stream.shuffle(Array.from({ length: count }, (_, k) => k)).slice(0, hidden)) out[i] = 1;
  return out;
}

export function showoTask(
  model: ShowoModel,
  source: ShowoSource,
  options: ShowoTrainingOptions,
): SupervisedTask<ShowoBatch> {
  const { weights = { t2i: 1, mmu: 1, lm: 0.1 }, conditionDrop = 0.1 } = options;
  return {
    name: 'showo',
    variables: model.parameters.variables,
    batch: (step, stream) => makeBatch(model, source, options, { conditionDrop, step, lm: weights.lm }, stream),
    loss: (batch) => {
      const t2i = pictureLoss(model, batch.images);
      const mmu = answerLoss(model, batch.answers, true);
      const lm = answerLoss(model, batch.texts, false);
      const loss = tf.addN([
        tf.mul(t2i, weights.t2i),
        tf.mul(mmu, weights.mmu),
        tf.mul(lm, batch.lmWeight),
      ]) as tf.Scalar;
      return { loss, metrics: { t2i, mmu, lm } };
    },
  };
}

function makeBatch(
  model: ShowoModel,
  source: ShowoSource,
  options: ShowoTrainingOptions,
  at: { readonly conditionDrop: number; readonly step: number; readonly lm: number },
  stream: Stream,
): ShowoBatch {
  const { config } = model;
  const phase = options.textPhase && at.step >= options.textPhase.from ? options.textPhase : undefined;
  const examples = Array.from({ length: options.pictures }, (_, i) => source.picture(stream.fork(`picture ${i}`)));
  const pixels = pixelsTensor(examples.map((example) => example.pixels), options.size, options.size); // prettier-ignore
  const flat = readValues<'int32'>(() => model.images.encode(pixels));
  pixels.dispose();
  const codes = examples.map((_, i) => flat.slice(i * config.num_vq_tokens, (i + 1) * config.num_vq_tokens));
  const draws = stream.fork('masks');
  const images = examples.map((example, i) => {
    const caption = draws.uniform() < at.conditionDrop ? null : example.caption;
    return textToImageExample(config, caption, codes[i], maskedPositions(config.num_vq_tokens, draws));
  });
  const asked = Array.from({ length: options.questions }, (_, i) => {
    const { question, answer } = draws.pick(examples[i % examples.length].questions);
    return { prefix: understandingPrefix(config, codes[i % examples.length], question), answer };
  });
  const told = Array.from({ length: phase?.texts ?? options.texts }, (_, i) => {
    const { question, answer } = source.text(stream.fork(`text ${i}`), phase !== undefined);
    return { prefix: textPrefix(config, question), answer };
  });
  return { images, answers: padded(model, asked), texts: padded(model, told), lmWeight: phase?.lm ?? at.lm };
}

function padded(model: ShowoModel, rows: readonly { prefix: readonly number[]; answer: readonly number[] }[]): Row[] {
  const length = Math.max(...rows.map((row) => row.prefix.length + row.answer.length + 1));
  return rows.map((row) => answerExample(model.config, row.prefix, row.answer, length));
}

/** Mean cross-entropy over the masked codes, over the whole vocabulary; unshifted. */
export function pictureLoss(model: ShowoModel, rows: readonly Row[]): tf.Scalar {
  const { config } = model;
  const hidden = model.hidden(rows.map((row) => row.ids), rows.map((row) => textToImageMask(row.ids, model.vocabulary))); // prettier-ignore
  const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, config.hidden_size]);
  const start = imageStart(config);
  const length = rows[0].ids.length;
  const positions: number[] = [];
  const targets: number[] = [];
  rows.forEach((row, b) => {
    for (let i = start; i < start + config.num_vq_tokens; i++) {
      if (row.labels[i] < 0) continue;
      positions.push(b * length + i);
      targets.push(row.labels[i]);
    }
  });
  // Only scored positions reach the output layer: half of the codes are visible, and need no logits.
  const logits = showoLogits(model.parameters, tf.gather(flat, tf.tensor1d(positions, 'int32')), model.extra);
  return crossEntropy(logits, tf.tensor1d(targets, 'int32'));
}

/** Mean cross-entropy over answers and their end token; shifted by one. */
export function answerLoss(model: ShowoModel, rows: readonly Row[], picture: boolean): tf.Scalar {
  const scored = rows.map((row) => scoredPositions(row.labels));
  const prefixes: AnswerPrefix[] = rows.map((row) => ({ ids: row.ids, picture }));
  const logits = answerLogits(model, prefixes, scored.map((s) => s.positions), 'all'); // prettier-ignore
  return crossEntropy(logits, tf.tensor1d(scored.flatMap((s) => s.targets), 'int32')); // prettier-ignore
}
