/**
 * Training Janus on the mini world around a trained VQ tokenizer (Janus, Sec. 3.3, in one stage): image codes given the
 * caption, answers to questions about images, and text alone.
 */
import { readValues, type Rng, tf } from '../../engine';
import { imageCodes, type JanusConfig } from '../../models/janus/config';
import { JanusImageTokenizer, isTokenizerParameter } from '../../models/janus/image-tokenizer';
import { generationIds, unconditionalIds, understandingIds } from '../../models/janus/layout';
import type { JanusNetwork } from '../../models/janus/network';
import {
  type ImageInputs,
  imageInputs,
  imageSizes,
  type QuestionInputs,
  withFeatures,
} from '../../models/janus/inputs';
import { answerLoss, imageLoss, packTurns } from '../../models/janus/supervised';
import { type PackedRow, type Turn, withWordNoise } from '../../nn/packed-rows';
import { packedSizes } from '../../nn/row-inputs';
import { BatchSizes, type KindSizes } from './batch-sizes';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { withWrongCodes, type WrongShare } from '../../nn/code-noise';
import { partOf } from './janus-tokenizer-task';
import { isTower } from './janus-vision-task';

/** One image with what is said and asked about it, as ids. */
export interface JanusImageExample {
  readonly pixels: Uint8Array;
  /** What the questions are about, of the same size. Default: `pixels` */
  readonly seen?: Uint8Array;
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
  /** Questions about each of them at most; they share a row, see `nn/packed-rows`. */
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
  /** `answerCorruption` of answers about texts, whose questions then have no noise. Default: as about images. */
  readonly textCorruption?: number;
  /** Chance that an image is drawn behind wrong codes, see `withWrongCodes`. Default 0. */
  readonly wrongCodes?: number;
  /** How many of its codes are wrong then. Default `uniform`. */
  readonly wrongShare?: WrongShare;
  /** Whether the vision tower stays as it is. Default false: it learns, too. */
  readonly frozenTower?: boolean;
  /** Height and width of the images, pixels. */
  readonly size: number;
}

/** Rows of a batch, as plain numbers. */
interface JanusRows {
  readonly prompts: readonly (readonly number[])[];
  readonly answers: readonly PackedRow[];
  readonly texts: readonly PackedRow[];
}

export type JanusBatch = {
  readonly images: ImageInputs;
  /** Of the images that are asked about, `[asked, height, width, 3]`. */
  readonly pixels: tf.Tensor4D;
  readonly answers: QuestionInputs;
  readonly texts?: QuestionInputs;
};

/** Everything but the VQ tokenizer, which must be trained, and a frozen vision tower. */
export function janusTask(
  network: JanusNetwork,
  source: JanusSource,
  options: JanusTrainingOptions,
): SupervisedTask<JanusBatch> {
  const { weights = { t2i: 1, mmu: 1, lm: 0.5 }, frozenTower = false } = options;
  const { config } = network;
  const draw = (rng: Rng) => Array.from({ length: options.images }, (_, i) => source.image(rng.split(`picture ${i}`)));
  const sizes = new BatchSizes((rng) => sizesOf(config, makeRows(config, source, options, draw(rng), rng)));
  return {
    name: 'janus',
    variables: partOf(network, (name) => !isTokenizerParameter(name) && !(frozenTower && isTower(name))),
    batch: (_step, rng) => {
      const examples = draw(rng);
      const rows = makeRows(config, source, options, examples, rng);
      return janusInputs(network, examples, rows, sizes.fitting(sizesOf(config, rows)), options, rng);
    },
    loss: ({ images, pixels, answers, texts }) => {
      const t2i = imageLoss(network, images);
      const mmu = answerLoss(network, answers, network.imageFeatures(pixels));
      const lm = texts ? answerLoss(network, texts) : tf.scalar(0);
      const loss = tf.addN([tf.mul(t2i, weights.t2i), tf.mul(mmu, weights.mmu), tf.mul(lm, weights.lm)]) as tf.Scalar;
      return { loss, metrics: { t2i, mmu, lm } };
    },
  };
}

function sizesOf(config: JanusConfig, { prompts, answers, texts }: JanusRows): KindSizes<string> {
  const codes = imageCodes(config);
  const images = { ...imageSizes(prompts, codes), scored: prompts.length * codes };
  const answered = { images, answers: packedSizes(answers) };
  return texts.length > 0 ? { ...answered, texts: packedSizes(texts) } : answered;
}

function janusInputs(
  network: JanusNetwork,
  examples: readonly JanusImageExample[],
  { prompts, answers, texts }: JanusRows,
  sizes: KindSizes<string>,
  { asked, size, wrongCodes = 0, wrongShare }: JanusTrainingOptions,
  rng: Rng,
): JanusBatch {
  const { vq } = network.config;
  const tokenizer = new JanusImageTokenizer(vq, network.layers.model.vqmodel);
  const bytes = examples.map((example) => example.pixels);
  const all = pixelsTensor(bytes, size, size);
  const flat = readValues<'int32'>(() => tokenizer.encodePixels(all));
  all.dispose();
  const seen = examples.slice(0, asked).map((example) => example.seen ?? example.pixels);
  const pixels = pixelsTensor(seen, size, size);
  const count = imageCodes(network.config);
  const codes = examples.map((_, i) => flat.slice(i * count, (i + 1) * count));
  return {
    images: imageInputs(
      network,
      prompts,
      codes,
      sizes.images,
      withWrongCodes(codes, wrongCodes, rng.split('wrong codes'), wrongShare),
    ),
    pixels,
    answers: withFeatures(network, answers, asked, sizes.answers),
    ...(texts.length > 0 ? { texts: withFeatures(network, texts, 0, sizes.texts) } : {}),
  };
}

function makeRows(
  config: JanusConfig,
  source: JanusSource,
  options: JanusTrainingOptions,
  examples: readonly JanusImageExample[],
  rng: Rng,
): JanusRows {
  const { asked, cfgDropout = 0.1 } = options;
  const draws = rng.split('draws');
  const prompts = examples.map(({ caption }) => {
    const ids = generationIds(config, caption);
    return draws.uniform() < cfgDropout ? unconditionalIds(config, ids) : ids;
  });
  const looking = understandingIds(config, ['image']);
  const answers = examples.slice(0, asked).map(({ questions }) => {
    return packTurns(config, looking, draws.shuffle(questions).slice(0, options.questions));
  });
  const texts = Array.from({ length: options.texts }, (_, i) => {
    const { text, questions } = source.text(rng.split(`text ${i}`));
    return packTurns(config, understandingIds(config, [text]), questions);
  });
  const { answerCorruption = 0, questionNoise = 0, textCorruption } = options;
  return {
    prompts,
    answers: withWordNoise(answers, answerCorruption, draws, questionNoise),
    texts: withWordNoise(
      texts,
      textCorruption ?? answerCorruption,
      draws,
      textCorruption === undefined ? questionNoise : 0,
    ),
  };
}
