/**
 * Training Chameleon, in two stages: the VQGAN alone, then the language model around it (Chameleon, Sec. 2): images
 * given the caption, answers to questions about images, text alone, and interleaved sequences.
 */
import { type Rng, tf } from '../../engine';
import { type ChameleonImageTokenizer, refreshCodes, vqganLoss } from '../../models/chameleon/image-tokenizer';
import { imageIds, type Part, trainingExample } from '../../models/chameleon/layout';
import type { ChameleonModel } from '../../models/chameleon/model';
import { plainRow, scoredLoss, scoredRows } from '../../models/chameleon/supervised';
import { type PackedRow, packTurns, type Turn, withWordNoise } from '../../nn/packed-rows';
import { type PackedInputs, packedSizes } from '../../nn/row-inputs';
import { BatchSizes, type KindSizes } from './batch-sizes';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { type ImageBatchInput, type ImageSource } from './showo-tokenizer-task';
import { withBitNoise, withWrongCodes, type WrongShare } from '../../nn/code-noise';

export interface VqganBatch extends ImageBatchInput {
  /** Whether the codebook is passed by. */
  readonly plain: boolean;
}

export interface VqganTrainingOptions {
  /** Images a batch. */
  readonly batch: number;
  /** Height and width of the images, pixels. */
  readonly size: number;
  /** First steps in which the decoder is given the latents themselves: an untrained encoder moves fastest. Default 0. */
  readonly plainSteps?: number;
  /** Steps between refreshments of the codebook, from the first quantized step on. Default 10. */
  readonly refreshEvery?: number;
  /** Last step that refreshes; towards the end of training codes must rest. Default: the first quantized one. */
  readonly refreshUntil?: number;
  /** Images whose codes are looked at. Default 96. */
  readonly probe?: number;
  /** What learns; codes stay what they are where it is the decoder alone. Default `all`. */
  readonly part?: 'all' | 'decoder';
}

/**
 * The image tokenizer's task.
 *
 * Codes follow the encoder by gradient too slowly, and those that no image uses get none; so every `refreshEvery` steps
 * they are put where the latents of fresh images are ({@link refreshCodes}). What is done depends on the step and the
 * weights alone, so a resumed run repeats it.
 */
export function vqganTask(
  tokenizer: ChameleonImageTokenizer,
  source: ImageSource,
  options: VqganTrainingOptions,
): SupervisedTask<VqganBatch> {
  const { batch, size, plainSteps = 0, refreshEvery = 10, refreshUntil = plainSteps, probe = 96 } = options;
  const { part = 'all' } = options;
  const learns = (name: string) => part === 'all' || /^(decoder|post_quant_conv)\./.test(name);
  const images = (count: number, rng: Rng) =>
    pixelsTensor(
      Array.from({ length: count }, (_, i) => source(rng.split(i))),
      size,
      size,
    );
  return {
    name: 'vqgan',
    variables: Object.fromEntries(Object.entries(tokenizer.vqgan.variables()).filter(([name]) => learns(name))),
    batch: (step, rng) => {
      if (step >= plainSteps && step <= refreshUntil && (step - plainSteps) % refreshEvery === 0) {
        const pixels = images(probe, rng.split('probe'));
        refreshCodes(tokenizer.vqgan, pixels, rng.split('refresh'));
        pixels.dispose();
      }
      return { pixels: images(batch, rng), plain: step < plainSteps };
    },
    loss: ({ pixels, plain }) => vqganLoss(tokenizer.vqgan, pixels, plain),
  };
}

/** One image with what is said and asked about it, as ids. */
export interface ChameleonImageExample {
  readonly pixels: Uint8Array;
  readonly caption: readonly number[];
  readonly questions: readonly Turn[];
}

/** One text with questions that it answers, as ids. */
export interface ChameleonTextExample {
  readonly text: readonly number[];
  readonly questions: readonly Turn[];
}

/** A part of an interleaved sequence: text ids, or an image as RGB bytes. Scored parts are learned. */
export type ChameleonSequencePart =
  | { readonly ids: readonly number[]; readonly scored: boolean }
  | { readonly pixels: Uint8Array; readonly scored: boolean };

export interface ChameleonSource {
  image(rng: Rng): ChameleonImageExample;
  text(rng: Rng): ChameleonTextExample;
  /** Interleaved text and images (X-CoT). Asked for when `sequences` is above 0. */
  sequence?(rng: Rng): readonly ChameleonSequencePart[];
}

export interface ChameleonTrainingOptions {
  /** Captioned images a batch. */
  readonly images: number;
  /** Images a batch that questions are asked about: the first ones. */
  readonly asked: number;
  /** Questions about each of them at most; they share a row, see `models/chameleon/packed`. */
  readonly questions: number;
  /** Texts a batch, each with all of its questions. */
  readonly texts: number;
  /** Interleaved sequences a batch. Default 0. */
  readonly sequences?: number;
  /** Loss weights. Default 1, 1, 0.5, 1. */
  readonly weights?: Readonly<Record<ChameleonLoss, number>>;
  /** Chance that the caption is dropped, so that guidance has an image without one. Default 0.1. */
  readonly cfgDropout?: number;
  /** Chance that a word of an answer is another word where the model reads it, see `withWordNoise`. Default 0. */
  readonly answerCorruption?: number;
  /** The same for words of questions. Default 0. */
  readonly questionNoise?: number;
  /** `answerCorruption` of answers about texts, whose questions then have no noise. Default: as about images. */
  readonly textCorruption?: number;
  /**
   * Chance that a code of an image that is asked about has one of its bits flipped, in [0, 1); for codebooks whose
   * codes are strings of bits. Default 0.
   */
  readonly codeBitFlip?: number;
  /** Chance that an image is drawn behind wrong codes, see `withWrongCodes`. Default 0. */
  readonly wrongCodes?: number;
  /** How many of its codes are wrong then. Default `uniform`. */
  readonly wrongShare?: WrongShare;
  /** Height and width of the images, pixels. */
  readonly size: number;
}

/** What is learned: images, answers about images, text, interleaved sequences. */
export type ChameleonLoss = 't2i' | 'mmu' | 'lm' | 'xcot';

/** Rows of a batch, as plain numbers. */
type ChameleonRows = Readonly<Record<ChameleonLoss, readonly PackedRow[]>>;

/** Of what a batch has. */
export type ChameleonBatch = Readonly<Partial<Record<ChameleonLoss, PackedInputs>>>;

/**
 * The language model's task; the image tokenizer is frozen, and must be trained.
 * @throws Error when sequences are asked for and the source has none
 */
export function chameleonTask(
  model: ChameleonModel,
  source: ChameleonSource,
  options: ChameleonTrainingOptions,
): SupervisedTask<ChameleonBatch> {
  if (options.sequences && !source.sequence)
    throw new Error(`${options.sequences} sequences a batch are asked for, but the source makes none`);
  const weights = options.weights ?? { t2i: 1, mmu: 1, lm: 0.5, xcot: 1 };
  const [side, stride] = [options.size, model.imageTokenizer.stride];
  const blank = (images: readonly unknown[]) => images.map(() => new Int32Array((side / stride) ** 2));
  const sizes = new BatchSizes((rng) => sizesOf(makeRows(model, source, options, blank, rng)));
  const codesOf = (images: readonly Uint8Array[]) => encode(model, images, side);
  return {
    name: 'chameleon',
    variables: model.variables(),
    batch: (_step, rng) => {
      const rows = makeRows(model, source, options, codesOf, rng);
      const padded = sizes.fitting(sizesOf(rows));
      return Object.fromEntries(
        kindsOf(rows).map((kind) => [kind, scoredRows(model.network, rows[kind], padded[kind])]),
      );
    },
    loss: (batch) => {
      const kinds = Object.entries(batch) as [ChameleonLoss, PackedInputs][];
      const losses = kinds.map(([kind, inputs]) => [kind, scoredLoss(model.network, inputs)] as const);
      const loss = tf.addN<tf.Scalar>(losses.map(([kind, one]) => tf.mul<tf.Scalar>(one, weights[kind])));
      return { loss, metrics: Object.fromEntries(losses) };
    },
  };
}

const kindsOf = (rows: ChameleonRows): ChameleonLoss[] =>
  (Object.keys(rows) as ChameleonLoss[]).filter((kind) => rows[kind].length > 0);

function sizesOf(rows: ChameleonRows): KindSizes<string> {
  return Object.fromEntries(kindsOf(rows).map((kind) => [kind, packedSizes(rows[kind])]));
}

/** @param encode codes of images as RGB bytes */
function makeRows(
  model: ChameleonModel,
  source: ChameleonSource,
  options: ChameleonTrainingOptions,
  encode: (images: readonly Uint8Array[]) => Int32Array[],
  rng: Rng,
): ChameleonRows {
  const { config, vocabulary: v } = model.network;
  const { cfgDropout = 0.1, sequences = 0, answerCorruption = 0, questionNoise = 0, codeBitFlip = 0 } = options;
  const { textCorruption, wrongCodes = 0, wrongShare } = options;
  const examples = Array.from({ length: options.images }, (_, i) => source.image(rng.split(`picture ${i}`)));
  const woven = Array.from({ length: sequences }, (_, i) => source.sequence?.(rng.split(`sequence ${i}`)) ?? []);
  const images = [...examples, ...woven.flat().filter((part) => 'pixels' in part)].map((part) => part.pixels);
  const codes = encode(images);
  const draws = rng.split('draws');
  const read = withWrongCodes(codes.slice(0, examples.length), wrongCodes, rng.split('wrong codes'), wrongShare);
  const t2i = examples.map(({ caption }, i) => {
    // As sampling has it without a condition: the image alone, from position 0 on.
    const alone = draws.uniform() < cfgDropout;
    const row = (image: ArrayLike<number>) =>
      alone
        ? { ids: imageIds(config, v, image), labels: imageIds(config, v, image) }
        : trainingExample(config, v, [
            { kind: 'text', ids: caption, scored: false },
            { kind: 'image', codes: image, scored: true },
          ]);
    return plainRow({ ids: row(read[i]).ids, labels: row(codes[i]).labels });
  });
  const mmu = examples.slice(0, options.asked).map(({ questions }, i) => {
    const seen = withBitNoise(codes[i], Math.log2(config.vq.n_embed), codeBitFlip, draws);
    return packTurns(
      [v.bos, ...imageIds(config, v, seen)],
      draws.shuffle(questions).slice(0, options.questions),
      v.eos,
    );
  });
  const lm = Array.from({ length: options.texts }, (_, i) => {
    const { text, questions } = source.text(rng.split(`text ${i}`));
    return packTurns([v.bos, ...text], questions, v.eos);
  });
  const drawn = codes.slice(examples.length).values();
  const partOf = (part: (typeof woven)[number][number]): Part & { scored: boolean } =>
    'pixels' in part
      ? { kind: 'image', codes: drawn.next().value as Int32Array, scored: part.scored }
      : { kind: 'text', ids: part.ids, scored: part.scored };
  const xcot = woven.map((parts) => plainRow(trainingExample(config, v, parts.map(partOf))));
  return {
    t2i,
    mmu: withWordNoise(mmu, answerCorruption, draws, questionNoise),
    lm: withWordNoise(lm, textCorruption ?? answerCorruption, draws, textCorruption === undefined ? questionNoise : 0),
    xcot,
  };
}

function encode(model: ChameleonModel, images: readonly Uint8Array[], size: number): Int32Array[] {
  if (images.length === 0) return [];
  const pixels = pixelsTensor(images, size, size);
  const codes = model.imageTokenizer.encodePixels(pixels);
  pixels.dispose();
  return codes;
}
