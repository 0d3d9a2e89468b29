/**
 * Janus' supervised losses (Janus, Sec. 3.3): image codes given the caption, answers to questions, and text alone.
 * Several questions about one image, or one text, share a row: see `nn/packed-rows`.
 */
import { crossEntropy, readValues, type Rng, tf } from '../../engine';
import type { Image } from '../../io';
import { sizeFor } from '../../nn/buckets';
import { type PackedRow, packTurns as pack, type Turn, withWordNoise } from '../../nn/packed-rows';
import { packedSizes, roundedSizes, scoredHidden } from '../../nn/row-inputs';
import { withWrongCodes } from '../../nn/code-noise';
import { presentOnly, weightedLosses } from '../supervised';
import type { EncodedImage, SupervisedExample, SupervisedLossOptions } from '../unified';
import type { JanusConfig } from './config';
import type { JanusImageTokenizer } from './image-tokenizer';
import { type ImageInputs, imageInputs, imageSizes, type QuestionInputs, questionInputs } from './inputs';
import { unconditionalIds, type UnderstandingPrompt } from './layout';
import type { JanusNetwork } from './network';
import { imageCodeLogits } from './policy';
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
 * Logits over the vocabulary at the scored places, `[size, vocab]`. A function of tensors.
 * @param features in place of those of `inputs.pixels`
 */
export function scoredLogits(network: JanusNetwork, inputs: QuestionInputs, features?: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => {
    const seen = features ?? (inputs.pixels && network.imageFeatures(inputs.pixels));
    const embeds = network.embed(inputs.embed, seen);
    const hidden = network.hidden(embeds, { mask: inputs.mask, positions: inputs.tables });
    return network.textLogits(scoredHidden(hidden, inputs.at));
  });
}

/** Mean cross-entropy over answers and their end tokens. A function of tensors. @param features see {@link scoredLogits} */
export function answerLoss(network: JanusNetwork, inputs: QuestionInputs, features?: tf.Tensor3D): tf.Scalar {
  return tf.tidy(() => crossEntropy(scoredLogits(network, inputs, features), inputs.targets));
}

/** Mean cross-entropy of image codes, each given the prompt and the codes before it. A function of tensors. */
export function imageLoss(network: JanusNetwork, inputs: ImageInputs): tf.Scalar {
  return tf.tidy(() => crossEntropy(imageCodeLogits(network, inputs), inputs.targets));
}

type Understand = Extract<SupervisedExample, { task: 'understand' }>;
type Generate = Extract<SupervisedExample, { task: 'generate' }>;

/** The parts of a model that a supervised step takes. */
export interface Learner {
  readonly network: JanusNetwork;
  readonly prompts: JanusPrompts;
  readonly imageTokenizer: JanusImageTokenizer;
}

/** What a supervised step takes, kind by kind. */
export interface SupervisedInputs {
  readonly tensors: {
    readonly understand?: QuestionInputs;
    readonly generate?: ImageInputs;
    readonly text?: QuestionInputs;
  };
  readonly weights: SupervisedLossOptions['weights'];
}

/**
 * See `UnifiedModel.supervisedBatch`. An encoded image that is asked about is looked at as the image tokenizer gives it
 * back: the vision tower takes pixels.
 * @throws RangeError for no examples; PromptTooLongError
 */
export function supervisedInputs(
  learner: Learner,
  examples: readonly SupervisedExample[],
  rng: Rng,
  { cfgDropout = 0.1, answerCorruption = 0, wrongCodes = 0, weights = {}, sizes }: SupervisedLossOptions = {},
): SupervisedInputs {
  if (examples.length === 0) throw new RangeError('a supervised loss needs an example at least');
  const { network } = learner;
  const of = <K extends SupervisedExample['task']>(task: K) =>
    examples.filter((example): example is Extract<SupervisedExample, { task: K }> => example.task === task);
  const [questions, images, texts] = [of('understand'), of('generate'), of('text')];
  const packed = (kind: 'understand' | 'text', rows: readonly PackedRow[], seen: readonly Image[] = []) => {
    const own = packedSizes(rows);
    const noise = rng.split(kind === 'text' ? 'texts' : 'answers');
    const padded = sizes ? sizes(kind, own) : roundedSizes(own);
    return questionInputs(network, withWordNoise(rows, answerCorruption, noise), seen, padded);
  };
  const questionTensors = () => {
    const { rows, prompts } = questionRows(learner, questions);
    const seen = prompts.flatMap((prompt) => prompt.images);
    return packed('understand', rows, seen);
  };
  // Rows are made before tensors: what cannot be learned from leaves none behind.
  const textRows = texts.map(({ text }) => {
    const { bos } = network.config.tokens;
    return packTurns(network.config, [], [{ question: [bos], answer: learner.prompts.answer(text) }]);
  });
  const drawn = images.length > 0 ? imageRows(learner, images, cfgDropout, rng.split('dropout'), sizes) : undefined;
  const read = withWrongCodes(drawn?.codes ?? [], wrongCodes, rng.split('wrong codes'), 'cosine');
  const tensors = tf.tidy(() => ({
    understand: questions.length > 0 ? questionTensors() : undefined,
    generate: drawn && imageInputs(network, drawn.prompts, drawn.codes, drawn.sizes, read),
    text: texts.length > 0 ? packed('text', textRows) : undefined,
  }));
  return { tensors: presentOnly(tensors), weights };
}

function imageRows(
  learner: Learner,
  examples: readonly Generate[],
  cfgDropout: number,
  dropout: Rng,
  padded: SupervisedLossOptions['sizes'],
) {
  const prompts = examples.map(({ prompt }) => {
    const { ids } = learner.prompts.prompt([prompt], 'generate');
    return dropout.uniform() < cfgDropout ? unconditionalIds(learner.network.config, ids) : ids;
  });
  const codes = codesOf(learner, examples);
  const { rows, length } = imageSizes(prompts, codes[0].length);
  const sizes = padded
    ? padded('generate', { rows, length, scored: rows * codes[0].length })
    : { rows: sizeFor(rows, 4), length: sizeFor(length, 8) };
  return { prompts, codes, sizes };
}

/** Sum over kinds of weight x mean over scored tokens. A function of tensors. */
export function supervisedLoss(network: JanusNetwork, { tensors, weights = {} }: SupervisedInputs): tf.Scalar {
  return tf.tidy(() => {
    const { understand, generate, text } = tensors;
    const losses = {
      understand: understand && answerLoss(network, understand),
      generate: generate && imageLoss(network, generate),
      text: text && answerLoss(network, text),
    };
    return weightedLosses(presentOnly(losses), weights, (loss) => loss);
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
