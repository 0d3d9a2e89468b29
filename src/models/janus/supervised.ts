/**
 * Janus' supervised losses (Janus, Sec. 3.3): image codes given the caption, answers to questions, and text alone.
 * Several questions about one image, or one text, share a row: see `nn/packed-rows`.
 */
import { crossEntropy, readValues, type Rng, tf } from '../../engine';
import type { Image } from '../../io';
import { additiveMask } from '../../nn/causal-mask';
import {
  packedMask,
  type PackedRow,
  packTurns as pack,
  padRows,
  scoredOf,
  type Turn,
  withWordNoise,
} from '../../nn/packed-rows';
import type { EncodedImage, SupervisedExample, SupervisedLossOptions } from '../unified';
import type { JanusConfig } from './config';
import type { JanusImageTokenizer } from './image-tokenizer';
import { unconditionalIds, type UnderstandingPrompt } from './layout';
import type { JanusNetwork } from './network';
import { imageCodeLogits, promptFeatures } from './policy';
import type { JanusPrompts } from './prompts';

/**
 * `beginning`, then for each turn its question, answer and end token; answers and end tokens are scored.
 * @param beginning as `understandingIds` lays it out
 * @throws RangeError for a turn without a question, or one that ends beyond the model's positions
 */
export function packTurns(
  { tokens, text }: JanusConfig,
  beginning: readonly number[],
  turns: readonly Turn[],
): PackedRow {
  const row = pack(beginning, turns, tokens.eos);
  const last = row.positions.reduce((a, b) => Math.max(a, b), -1) + 1;
  if (last > text.max_position_embeddings)
    throw new RangeError(`a turn ends at position ${last}; this model has ${text.max_position_embeddings}`);
  return row;
}

/**
 * Logits over the vocabulary that predict the scored tokens of all rows, and those tokens, in order.
 * @param features for the placeholders in the rows, in order
 * @returns logits `[scored, vocab]`
 */
export function packedLogits(
  network: JanusNetwork,
  rows: readonly PackedRow[],
  features?: tf.Tensor3D,
): { logits: tf.Tensor2D; targets: number[] } {
  const padded = padRows(rows, network.config.tokens.pad);
  const { at, targets } = scoredOf(padded);
  const logits = tf.tidy(() => {
    const ids = padded.map((row) => row.ids);
    const embeds = network.embed(ids, features);
    const mask = additiveMask(padded.map(packedMask), ids[0].length);
    const hidden = network.hidden(embeds, { mask, positions: padded.map((row) => row.positions) });
    // Only scored positions reach the output layer.
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, network.config.text.hidden_size]);
    return network.textLogits(tf.gather(flat, tf.tensor1d(at, 'int32')));
  });
  return { logits, targets };
}

/** Mean cross-entropy over answers and their end tokens; 0 for no rows. @param features see {@link packedLogits} */
export function answerLoss(network: JanusNetwork, rows: readonly PackedRow[], features?: tf.Tensor3D): tf.Scalar {
  if (rows.length === 0) return tf.scalar(0);
  const { logits, targets } = packedLogits(network, rows, features);
  return crossEntropy(logits, tf.tensor1d(targets, 'int32'));
}

/**
 * Mean cross-entropy of image codes, each given the prompt and the codes before it.
 * @param prompts as `generationIds` lays them out
 */
export function imageLoss(
  network: JanusNetwork,
  prompts: readonly (readonly number[])[],
  codes: readonly Int32Array[],
): tf.Scalar {
  const targets = codes.flatMap((row) => Array.from(row));
  return crossEntropy(imageCodeLogits(network, prompts, codes), tf.tensor1d(targets, 'int32'));
}

type Understand = Extract<SupervisedExample, { task: 'understand' }>;
type Generate = Extract<SupervisedExample, { task: 'generate' }>;

/** The parts of a model that a supervised step takes. */
export interface Learner {
  readonly network: JanusNetwork;
  readonly prompts: JanusPrompts;
  readonly imageTokenizer: JanusImageTokenizer;
}

/**
 * See `UnifiedModel.supervisedLoss`. An encoded image that is asked about is looked at as the image tokenizer gives it
 * back: the vision tower takes pixels.
 * @throws RangeError for no examples; PromptTooLongError
 */
export function supervisedLoss(
  learner: Learner,
  examples: readonly SupervisedExample[],
  rng: Rng,
  { cfgDropout = 0.1, answerCorruption = 0, weights = {} }: SupervisedLossOptions = {},
): tf.Scalar {
  if (examples.length === 0) throw new RangeError('a supervised loss needs an example at least');
  const { network } = learner;
  const of = <K extends SupervisedExample['task']>(task: K) =>
    examples.filter((example): example is Extract<SupervisedExample, { task: K }> => example.task === task);
  return tf.tidy(() => {
    const losses: tf.Scalar[] = [];
    const add = (task: SupervisedExample['task'], loss: tf.Scalar) => losses.push(tf.mul(loss, weights[task] ?? 1));
    const noisy = (rows: readonly PackedRow[], name: string) => withWordNoise(rows, answerCorruption, rng.split(name));
    const [questions, images, texts] = [of('understand'), of('generate'), of('text')];
    if (questions.length > 0) {
      const { rows, prompts } = questionRows(learner, questions);
      add('understand', answerLoss(network, noisy(rows, 'answers'), promptFeatures(network, prompts)));
    }
    if (images.length > 0) {
      const dropout = rng.split('dropout');
      const prompts = images.map(({ prompt }) => {
        const { ids } = learner.prompts.prompt([prompt], 'generate');
        return dropout.uniform() < cfgDropout ? unconditionalIds(network.config, ids) : ids;
      });
      add('generate', imageLoss(network, prompts, codesOf(learner, images)));
    }
    if (texts.length > 0) {
      const { bos } = network.config.tokens;
      const rows = texts.map(({ text }) => {
        return packTurns(network.config, [], [{ question: [bos], answer: learner.prompts.answer(text) }]);
      });
      add('text', answerLoss(network, noisy(rows, 'texts')));
    }
    return tf.addN(losses);
  });
}

/** One row for all questions about the same; beside it a prompt of the row, which holds its images. */
function questionRows(
  learner: Learner,
  examples: readonly Understand[],
): { rows: PackedRow[]; prompts: UnderstandingPrompt[] } {
  const seen = seenImages(learner, examples);
  const groups = new Map<string, { prompt: UnderstandingPrompt; turns: Turn[] }>();
  const numbers = new Map<Image, number>();
  for (const { parts, answer } of examples) {
    const given = parts.map((part) => (typeof part === 'object' && 'codes' in part ? (seen.get(part) as Image) : part));
    const prompt = learner.prompts.prompt(given, 'understand') as UnderstandingPrompt;
    for (const image of prompt.images) numbers.set(image, numbers.get(image) ?? numbers.size);
    const beginning = prompt.ids.slice(0, prompt.shared);
    const key = `${prompt.images.map((image) => numbers.get(image)).join()} ${beginning.join()}`;
    const group = groups.get(key) ?? { prompt, turns: [] };
    group.turns.push({ question: prompt.ids.slice(prompt.shared), answer: learner.prompts.answer(answer) });
    groups.set(key, group);
  }
  const { config } = learner.network;
  const list = [...groups.values()];
  return {
    rows: list.map(({ prompt, turns }) => packTurns(config, prompt.ids.slice(0, prompt.shared), turns)),
    prompts: list.map(({ prompt }) => prompt),
  };
}

/** What encoded images show, each decoded once. */
function seenImages({ imageTokenizer }: Learner, examples: readonly Understand[]): Map<EncodedImage, Image> {
  const encoded = new Set<EncodedImage>();
  for (const { parts } of examples)
    for (const part of parts) if (typeof part === 'object' && 'codes' in part) encoded.add(part);
  const list = [...encoded];
  if (list.length === 0) return new Map();
  const [rows, columns] = imageTokenizer.grid;
  const [width, height] = [columns * imageTokenizer.stride, rows * imageTokenizer.stride];
  const size = width * height * 3;
  const pixels = readValues(() => imageTokenizer.decode(list.map(({ codes }) => codes)));
  return new Map(
    list.map((image, i) => [image, { width, height, rgb: bytesOf(pixels.subarray(i * size, (i + 1) * size)) }]),
  );
}

/** Pixels in [-1, 1] as bytes; what lies outside is cut. */
function bytesOf(pixels: Float32Array): Uint8Array {
  return Uint8Array.from(pixels, (v) => Math.min(255, Math.max(0, Math.round((v + 1) * 127.5))));
}

function codesOf({ imageTokenizer }: Learner, examples: readonly Generate[]): Int32Array[] {
  const plain = [...new Set(examples.flatMap(({ image }) => ('codes' in image ? [] : [image])))];
  const encoded = imageTokenizer.encode(plain);
  return examples.map(({ image }) => ('codes' in image ? image.codes : encoded[plain.indexOf(image)]));
}
