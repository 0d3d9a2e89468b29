/**
 * Training Show-o on the mini world (Show-o, Sec. 3.4): masked prediction of image codes given the caption, answers
 * to questions about the image, and text alone; loss 1.0 t2i + 1.0 mmu + 0.1 lm as published, the last one an
 * option because here text alone carries the reasoning.
 */
import { readValues, type Rng, tf } from '../../engine';
import { pixelsTensor } from '../../io';
import type { ShowoConfig } from '../../models/showo/config';
import { type Labelled, textToImageExample } from '../../models/showo/layout';
import type { ShowoModel } from '../../models/showo/model';
import {
  answerInputs,
  imageInputs,
  imageSizes,
  maskedPositions,
  packImage,
  packText,
  scoredLoss,
} from '../../models/showo/supervised';
import { type PackedRow, type Turn, withWordNoise } from '../../nn/packed-rows';
import { type PackedInputs, packedSizes } from '../../nn/row-inputs';
import { BatchSizes, type KindSizes } from './batch-sizes';
import { withBitNoise } from '../../nn/code-noise';
import type { SupervisedTask } from '../../sft/loop';

/** One image with what is said and asked about it, as ids. */
export interface ShowoImageExample {
  readonly pixels: Uint8Array;
  readonly caption: readonly number[];
  readonly questions: readonly Turn[];
}

/** One text with questions that it answers, as ids. */
export interface ShowoTextExample {
  readonly text: readonly number[];
  readonly questions: readonly Turn[];
}

export interface ShowoSource {
  image(rng: Rng): ShowoImageExample;
  text(rng: Rng): ShowoTextExample;
}

export interface ShowoTrainingOptions {
  /** Captioned images a batch. */
  readonly images: number;
  /** Images a batch that questions are asked about: the first ones. */
  readonly asked: number;
  /** Questions about each of them at most; they share a row, see `models/showo/packed`. */
  readonly questions: number;
  /** Texts a batch, each with all of its questions. */
  readonly texts: number;
  /** Loss weights; Show-o's are 1, 1, 0.1. */
  readonly weights?: { readonly t2i: number; readonly mmu: number; readonly lm: number };
  /**
   * Chance that a word of an answer is another word where the model reads it (not where it is scored), in [0, 1): what
   * comes next then has to be read from the image or the text, not from the word before. Default 0.
   */
  readonly answerCorruption?: number;
  /** The same for words of questions, which then say less about what the answer must be. Default 0. */
  readonly questionNoise?: number;
  /** Chance that a code of an image that is asked about has one of its bits flipped, in [0, 1). Default 0. */
  readonly codeBitFlip?: number;
  /** Chance that the caption is dropped (for guidance). Default 0.1. */
  readonly cfgDropout?: number;
  /** Height and width of the images, pixels. */
  readonly size: number;
}

/** Rows of a batch, as plain numbers. */
export interface ShowoRows {
  readonly images: readonly Labelled[];
  readonly answers: readonly PackedRow[];
  readonly texts: readonly PackedRow[];
}

export type ShowoBatch = Readonly<Record<keyof ShowoRows, PackedInputs>>;

export function showoTask(
  model: ShowoModel,
  source: ShowoSource,
  options: ShowoTrainingOptions,
): SupervisedTask<ShowoBatch> {
  const { weights = { t2i: 1, mmu: 1, lm: 0.1 } } = options;
  const { config } = model;
  const padded = showoSizes(config, source, options);
  return {
    name: 'showo',
    variables: model.variables(),
    batch: (_, rng) => {
      const rows = showoRows(model, source, options, rng);
      return showoInputs(config, rows, padded(rows));
    },
    loss: ({ images, answers, texts }) => {
      const t2i = scoredLoss(model.network, images);
      const mmu = scoredLoss(model.network, answers);
      const lm = scoredLoss(model.network, texts);
      const loss = tf.addN([tf.mul(t2i, weights.t2i), tf.mul(mmu, weights.mmu), tf.mul(lm, weights.lm)]) as tf.Scalar;
      return { loss, metrics: { t2i, mmu, lm } };
    },
  };
}

/** What the batches of a stage are padded to: a few shapes, chosen from batches like them. */
export function showoSizes(
  config: ShowoConfig,
  source: ShowoSource,
  options: ShowoTrainingOptions,
): (rows: ShowoRows) => KindSizes<keyof ShowoRows> {
  const blank = (images: readonly unknown[]) => images.map(() => new Int32Array(config.num_vq_tokens));
  const sizes = new BatchSizes((rng) => sizesOf(config, makeRows(config, source, options, blank, rng)));
  return (rows) => sizes.fitting(sizesOf(config, rows));
}

/** The rows of a batch. */
export function showoRows(model: ShowoModel, source: ShowoSource, options: ShowoTrainingOptions, rng: Rng): ShowoRows {
  return makeRows(model.config, source, options, (images) => encodeImages(model, images, options.size), rng);
}

/** The rows as tensors. @param sizes what they are padded to; default: their own */
export function showoInputs(
  config: ShowoConfig,
  { images, answers, texts }: ShowoRows,
  sizes?: KindSizes<keyof ShowoRows>,
): ShowoBatch {
  return {
    images: imageInputs(config, images, sizes?.images),
    answers: answerInputs(config, answers, sizes?.answers),
    texts: answerInputs(config, texts, sizes?.texts),
  };
}

function sizesOf(config: ShowoConfig, { images, answers, texts }: ShowoRows): KindSizes<keyof ShowoRows> {
  return { images: imageSizes(config, images), answers: packedSizes(answers), texts: packedSizes(texts) };
}

function encodeImages({ config, magvit }: ShowoModel, images: readonly Uint8Array[], size: number): Int32Array[] {
  const pixels = pixelsTensor(images, size, size);
  const flat = readValues<'int32'>(() => magvit.encode(pixels));
  pixels.dispose();
  const count = config.num_vq_tokens;
  return images.map((_, i) => flat.slice(i * count, (i + 1) * count));
}

function makeRows(
  config: ShowoConfig,
  source: ShowoSource,
  options: ShowoTrainingOptions,
  encode: (images: readonly Uint8Array[]) => Int32Array[],
  rng: Rng,
): ShowoRows {
  const { cfgDropout = 0.1 } = options;
  const examples = Array.from({ length: options.images }, (_, i) => source.image(rng.split(`picture ${i}`)));
  const codes = encode(examples.map((example) => example.pixels));
  const draws = rng.split('masks');
  const images = examples.map((example, i) => {
    const caption = draws.uniform() < cfgDropout ? null : example.caption;
    return textToImageExample(config, caption, codes[i], maskedPositions(config.num_vq_tokens, draws));
  });
  const answers = examples.slice(0, options.asked).map((example, i) => {
    const seen = withBitNoise(codes[i], Math.log2(config.codebook_size), options.codeBitFlip ?? 0, draws);
    return packImage(config, seen, draws.shuffle(example.questions).slice(0, options.questions));
  });
  const texts = Array.from({ length: options.texts }, (_, i) => {
    const { text, questions } = source.text(rng.split(`text ${i}`));
    return packText(config, text, questions);
  });
  const { answerCorruption = 0, questionNoise = 0 } = options;
  const noisy = (rows: readonly PackedRow[]) => withWordNoise(rows, answerCorruption, draws, questionNoise);
  return { images, answers: noisy(answers), texts: noisy(texts) };
}
