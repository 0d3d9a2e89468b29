/**
 * Training Janus on the mini world, in two stages: the VQ tokenizer alone, then everything else around it (Janus,
 * Sec. 3.3, in one stage): image codes given the caption, answers to questions about pictures, and text alone.
 */
import { crossEntropy, readValues, type Stream, tf } from '../engine';
import { pictureCodes } from '../models/janus/config';
import { VQ, vqEntropy, vqLatents, vqReconstruct } from '../models/janus/generation';
import { generationIds, textIds, unconditionalIds, understandingIds } from '../models/janus/layout';
import type { JanusModel } from '../models/janus/model';
import { packedLogits, type PackedRow, packTurns, type Turn } from '../models/janus/packed';
import { pictureLogits } from '../models/janus/policy';
import { nearestCodes } from '../nn/vqgan-codebook';
import type { SupervisedTask } from './loop';
import { type PictureBatchInput, type PictureSource, pixelsTensor } from './train-magvit';

/** Parameters of the VQ tokenizer, which the first stage trains and the second leaves alone. */
const isVq = (name: string): boolean => name.startsWith(VQ);

export interface VqTrainingOptions {
  /** Pictures a batch. */
  readonly batch: number;
  /** Height and width of the pictures, pixels. */
  readonly size: number;
  /** Steps between looks for unused codes; at first, while latents move fast, a fifth of that. Default 50. */
  readonly restartEvery?: number;
  /** Last step that restarts unused codes; towards the end of training codes must rest. Default 0: never. */
  readonly restartUntil?: number;
  /** Pictures whose codes are looked at. Default 96. */
  readonly probe?: number;
  /** Weight of the entropy loss, see `vqEntropy`. Default 0. */
  readonly entropyWeight?: number;
}

/**
 * The tokenizer's task. Loss: mean |x - y| + 2 mean (x - y)^2 + the codebook's. Neither a perceptual nor an adversarial
 * term: pictograms have flat colours and hard edges, and nothing to be imagined.
 *
 * Codes that no picture uses get no gradient and would stay unused; every `restartEvery` steps they are put where
 * latents of fresh pictures are (as k-means restarts empty clusters). What is done depends on the step and the weights
 * alone, so a resumed run repeats it.
 */
export function janusVqTask(
  model: JanusModel,
  source: PictureSource,
  options: VqTrainingOptions,
): SupervisedTask<PictureBatchInput> {
  const { batch, size, restartEvery = 50, restartUntil = 0, probe = 96, entropyWeight = 0 } = options;
  const interval = (step: number) => Math.max(1, Math.round(step < 5 * restartEvery ? restartEvery / 5 : restartEvery));
  const pictures = (count: number, stream: Stream) =>
    pixelsTensor(Array.from({ length: count }, (_, i) => source(stream.fork(i))), size, size); // prettier-ignore
  return {
    name: 'janus-vq',
    variables: partOf(model, isVq),
    batch: (step, stream) => {
      if (step <= restartUntil && step % interval(step) === 0) {
        const pixels = pictures(probe, stream.fork('probe'));
        restartUnusedCodes(model, pixels, stream.fork('restart'));
        pixels.dispose();
      }
      return { pixels: pictures(batch, stream) };
    },
    loss: ({ pixels }) => {
      const out = vqReconstruct(model.parameters, model.config, pixels);
      const difference = tf.sub(out.pixels, pixels);
      const l1 = tf.mean<tf.Scalar>(tf.abs(difference));
      const l2 = tf.mean<tf.Scalar>(tf.square(difference));
      const used = tf.scalar(new Set(readValues<'int32'>(() => tf.clone(out.codes))).size);
      const terms = [l1, tf.mul(l2, 2), out.loss];
      if (entropyWeight > 0) terms.push(tf.mul(vqEntropy(model.parameters, out.latents), entropyWeight));
      return { loss: tf.addN(terms) as tf.Scalar, metrics: { l1, l2, codebook: out.loss, used } };
    },
  };
}

/**
 * Puts every code that the pictures do not use to a random latent of theirs.
 * @param pixels `[pictures, height, width, 3]` in [-1, 1]
 * @returns how many codes were unused
 */
export function restartUnusedCodes(model: JanusModel, pixels: tf.Tensor4D, stream: Stream): number {
  const codebook = model.parameters.variables[`${VQ}quantize.embedding.weight`] as tf.Variable<tf.Rank.R2>;
  const [count, dim] = codebook.shape;
  return tf.tidy(() => {
    const latents = tf.reshape(vqLatents(model.parameters, model.config, pixels).latents, [-1, dim]);
    const codes = nearestCodes(latents, codebook, true).dataSync<'int32'>();
    const used = new Uint8Array(count);
    for (const code of codes) used[code] = 1;
    const values = latents.dataSync<'float32'>();
    const rows = Float32Array.from(codebook.dataSync<'float32'>());
    let unused = 0;
    for (let code = 0; code < count; code++) {
      if (used[code]) continue;
      unused++;
      const from = stream.int(codes.length) * dim;
      // Only directions count; entries keep about the length that fresh ones have.
      const length = Math.hypot(...values.subarray(from, from + dim)) || 1;
      for (let k = 0; k < dim; k++)
        rows[code * dim + k] = (values[from + k] / length) * Math.sqrt(dim) + 0.05 * stream.normal();
    }
    codebook.assign(tf.tensor2d(rows, [count, dim]));
    return unused;
  });
}

/** One picture with what is said and asked about it, as ids. */
export interface JanusPictureExample {
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
  picture(stream: Stream): JanusPictureExample;
  text(stream: Stream): JanusTextExample;
}

export interface JanusTrainingOptions {
  /** Captioned pictures a batch. */
  readonly pictures: number;
  /** Pictures a batch that questions are asked about: the first ones. */
  readonly asked: number;
  /** Questions about each of them at most; they share a row, see `models/janus/packed`. */
  readonly questions: number;
  /** Texts a batch, each with all of its questions; may be 0. */
  readonly texts: number;
  /** Loss weights. Default 1, 1, 0.5. */
  readonly weights?: { readonly t2i: number; readonly mmu: number; readonly lm: number };
  /** Chance that the caption is dropped (for guidance). Default 0.1, as Janus. */
  readonly conditionDrop?: number;
  /** Height and width of the pictures, pixels. */
  readonly size: number;
}

export interface JanusBatch {
  readonly prompts: readonly (readonly number[])[];
  readonly codes: readonly Int32Array[];
  /** Of the pictures that are asked about, `[asked, height, width, 3]`. */
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
    batch: (_step, stream) => makeBatch(model, source, options, stream),
    loss: (batch) => {
      const t2i = pictureLoss(model, batch);
      const mmu = answerLoss(model, batch.answers, model.imageFeatures(batch.pixels));
      const lm = answerLoss(model, batch.texts);
      const loss = tf.addN([tf.mul(t2i, weights.t2i), tf.mul(mmu, weights.mmu), tf.mul(lm, weights.lm)]) as tf.Scalar;
      return { loss, metrics: { t2i, mmu, lm } };
    },
  };
}

function makeBatch(model: JanusModel, source: JanusSource, options: JanusTrainingOptions, stream: Stream): JanusBatch {
  const { config } = model;
  const { size, asked, conditionDrop = 0.1 } = options;
  const examples = Array.from({ length: options.pictures }, (_, i) => source.picture(stream.fork(`picture ${i}`)));
  const all = pixelsTensor(examples.map((example) => example.pixels), size, size); // prettier-ignore
  const flat = readValues<'int32'>(() => model.encodePixels(all));
  const pixels = tf.slice(all, [0, 0, 0, 0], [asked, -1, -1, -1]);
  all.dispose();
  const count = pictureCodes(config);
  const draws = stream.fork('draws');
  const prompts = examples.map(({ caption }) => {
    const ids = generationIds(config, caption);
    return draws.uniform() < conditionDrop ? unconditionalIds(config, ids) : ids;
  });
  return {
    prompts,
    codes: examples.map((_, i) => flat.slice(i * count, (i + 1) * count)),
    pixels,
    answers: examples.slice(0, asked).map(({ questions }) =>
      packTurns(config, understandingIds(config, []), draws.shuffle(questions).slice(0, options.questions)),
    ), // prettier-ignore
    texts: Array.from({ length: options.texts }, (_, i) => {
      const { text, questions } = source.text(stream.fork(`text ${i}`));
      return packTurns(config, textIds(config, text), questions);
    }),
  };
}

/** Mean cross-entropy of the image codes, each given the prompt and the codes before it. */
export function pictureLoss(model: JanusModel, { prompts, codes }: Pick<JanusBatch, 'prompts' | 'codes'>): tf.Scalar {
  const targets = tf.tensor1d(codes.flatMap((row) => Array.from(row)), 'int32'); // prettier-ignore
  return crossEntropy(pictureLogits(model, prompts, codes), targets);
}

/** Mean cross-entropy over answers and their end tokens; 0 for no rows. */
export function answerLoss(model: JanusModel, rows: readonly PackedRow[], features?: tf.Tensor3D): tf.Scalar {
  if (rows.length === 0) return tf.scalar(0);
  const { logits, targets } = packedLogits(model, rows, features);
  return crossEntropy(logits, tf.tensor1d(targets, 'int32'));
}

function partOf(model: JanusModel, isPart: (name: string) => boolean): Record<string, tf.Variable> {
  return Object.fromEntries(Object.entries(model.parameters.variables).filter(([name]) => isPart(name)));
}
