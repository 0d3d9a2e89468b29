/**
 * Training Janus on the mini world around a trained VQ tokenizer (Janus, Sec. 3.3, in one stage): image codes given the
 * caption, answers to questions about images, and text alone.
 */
import { crossEntropy, readValues, type Rng, tf } from '../engine';
import { imageCodes } from '../models/janus/config';
import { generationIds, textIds, unconditionalIds, understandingIds } from '../models/janus/layout';
import type { JanusModel } from '../models/janus/model';
import { packedLogits, packTurns } from '../models/janus/packed';
import { type PackedRow, type Turn, withWordNoise } from '../nn/packed-rows';
import { imageCodeLogits } from '../models/janus/policy';
import type { SupervisedTask } from './loop';
import { isVq, partOf } from './train-janus-vq';
import { pixelsTensor } from './train-magvit';

/** One image with what is said and asked about it, as ids. */
export interface JanusImageExample {
  readonly pixels: Uint8Array;
  readonly caption: readonly number[];
  readonly questions: readonly Turn[];
}

/** One text with questions that it answers, as ids. */
export interface JanusTextExample {
  readonly text: readonly number[];
  readonly questions: readonly Turn[];
}

export interface JanusSource {
  image(rng: Rng): JanusImageExample;
  text(rng: Rng): JanusTextExample;
}

export interface JanusTrainingOptions {
  /** Captioned images a batch. */
  readonly images: number;
  /** Images a batch that questions are asked about: the first ones. */
  readonly asked: number;
  /** Questions about each of them at most; they share a row, see `models/janus/packed`. */
  readonly questions: number;
  /** Texts a batch, each with all of its questions; may be 0. */
  readonly texts: number;
  /** Loss weights. Default 1, 1, 0.5. */
  readonly weights?: { readonly t2i: number; readonly mmu: number; readonly lm: number };
  /** Chance that the caption is dropped (for guidance). Default 0.1, as Janus. */
  readonly cfgDropout?: number;
  /** Chance that a word of an answer is another word where the model reads it, see `withWordNoise`. Default 0. */
  readonly answerCorruption?: number;
  /** The same for words of questions. Default 0. */
  readonly questionNoise?: number;
  /** Height and width of the images, pixels. */
  readonly size: number;
}

export interface JanusBatch {
  readonly prompts: readonly (readonly number[])[];
  readonly codes: readonly Int32Array[];
  /** Of the images that are asked about, `[asked, height, width, 3]`. */
  readonly pixels: tf.Tensor4D;
  readonly answers: readonly PackedRow[];
  readonly texts: readonly PackedRow[];
}

/** Everything but the VQ tokenizer, which must be trained. */
export function janusTask(
  model: JanusModel,
  source: JanusSource,
  options: JanusTrainingOptions,
): SupervisedTask<JanusBatch> {
  const { weights = { t2i: 1, mmu: 1, lm: 0.5 } } = options;
  return {
    name: 'janus',
    variables: partOf(model, (name) => !isVq(name)),
    batch: (_step, rng) => makeBatch(model, source, options, rng),
    loss: (batch) => {
      const t2i = imageLoss(model, batch);
      const mmu = answerLoss(model, batch.answers, model.imageFeatures(batch.pixels));
      const lm = answerLoss(model, batch.texts);
      const loss = tf.addN([tf.mul(t2i, weights.t2i), tf.mul(mmu, weights.mmu), tf.mul(lm, weights.lm)]) as tf.Scalar;
      return { loss, metrics: { t2i, mmu, lm } };
    },
  };
}

function makeBatch(model: JanusModel, source: JanusSource, options: JanusTrainingOptions, rng: Rng): JanusBatch {
  const { config } = model;
  const { size, asked, cfgDropout = 0.1 } = options;
  const examples = Array.from({ length: options.images }, (_, i) => source.image(rng.split(`picture ${i}`)));
  const all = pixelsTensor(examples.map((example) => example.pixels), size, size); // prettier-ignore
  const flat = readValues<'int32'>(() => model.encodePixels(all));
  const pixels = tf.slice(all, [0, 0, 0, 0], [asked, -1, -1, -1]);
  all.dispose();
  const count = imageCodes(config);
  const draws = rng.split('draws');
  const prompts = examples.map(({ caption }) => {
    const ids = generationIds(config, caption);
    return draws.uniform() < cfgDropout ? unconditionalIds(config, ids) : ids;
  });
  const answers = examples.slice(0, asked).map(({ questions }) =>
    packTurns(config, understandingIds(config, []), draws.shuffle(questions).slice(0, options.questions)),
  ); // prettier-ignore
  const texts = Array.from({ length: options.texts }, (_, i) => {
    const { text, questions } = source.text(rng.split(`text ${i}`));
    return packTurns(config, textIds(config, text), questions);
  });
  const { answerCorruption = 0, questionNoise = 0 } = options;
  const noisy = (rows: readonly PackedRow[]) => withWordNoise(rows, answerCorruption, draws, questionNoise);
  return {
    prompts,
    codes: examples.map((_, i) => flat.slice(i * count, (i + 1) * count)),
    pixels,
    answers: noisy(answers),
    texts: noisy(texts),
  };
}

/** Mean cross-entropy of the image codes, each given the prompt and the codes before it. */
export function imageLoss(model: JanusModel, { prompts, codes }: Pick<JanusBatch, 'prompts' | 'codes'>): tf.Scalar {
  const targets = tf.tensor1d(codes.flatMap((row) => Array.from(row)), 'int32'); // prettier-ignore
  return crossEntropy(imageCodeLogits(model, prompts, codes), targets);
}

/** Mean cross-entropy over answers and their end tokens; 0 for no rows. */
export function answerLoss(model: JanusModel, rows: readonly PackedRow[], features?: tf.Tensor3D): tf.Scalar {
  if (rows.length === 0) return tf.scalar(0);
  const { logits, targets } = packedLogits(model, rows, features);
  return crossEntropy(logits, tf.tensor1d(targets, 'int32'));
}
