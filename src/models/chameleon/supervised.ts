/**
 * Supervised training (Chameleon, Sec. 2): cross-entropy of what is scored, over the whole vocabulary. Several answers
 * about one beginning stand in one row, see `nn/packed-rows`.
 */
import { crossEntropy, type Rng, tf } from '../../engine';
import type { Image } from '../../io';
import { withWrongCodes } from '../../nn/code-noise';
import { llamaRotary } from '../../nn/llama';
import { IGNORE, type PackedRow, packTurns, scoredCount, type Turn, withWordNoise } from '../../nn/packed-rows';
import {
  type PackedInputs,
  packedInputs,
  type PackedSizes,
  packedSizes,
  roundedSizes,
  scoredHidden,
} from '../../nn/row-inputs';
import { type KindInputs, weightedLosses } from '../supervised';
import type { TextCodec } from '../../text/asked';
import {
  type EncodedImage,
  type InterleavedExample,
  PromptTooLongError,
  type SequenceExample,
  type SupervisedLossOptions,
} from '../unified';
import { answerIds, promptEncoder } from './concept-tokens';
import type { ChameleonConfig } from './config';
import type { ChameleonImageTokenizer } from './image-tokenizer';
import { endOfRequest, gridOf, imageIds, type Labelled, sequenceIds, trainingExample } from './layout';
import type { ChameleonNetwork } from './network';

/** A row of one sequence. */
export function plainRow({ ids, labels }: Labelled): PackedRow {
  return { ids, labels, positions: ids.map((_, i) => i), starts: ids.map(() => 0), shared: ids.length };
}

/**
 * Rows as tensors.
 * @param sizes what is padded to; default: the rows' own
 * @throws RangeError when nothing is scored
 */
export function scoredRows(
  { config, vocabulary }: ChameleonNetwork,
  rows: readonly PackedRow[],
  sizes?: PackedSizes,
): PackedInputs {
  if (scoredCount(rows) === 0) throw new RangeError('nothing of these rows is scored');
  return packedInputs(rows, vocabulary.pad, llamaRotary(config.text), sizes);
}

/** Logits at the scored places, `[size, width]`. A function of tensors. */
export function scoredLogits(network: ChameleonNetwork, inputs: PackedInputs): tf.Tensor2D {
  return tf.tidy(() => network.logits(scoredHidden(network.hiddenOf(inputs), inputs.at)));
}

/** Mean cross-entropy of the scored tokens, over the whole vocabulary. A function of tensors. */
export function scoredLoss(network: ChameleonNetwork, inputs: PackedInputs): tf.Scalar {
  return tf.tidy(() => crossEntropy(scoredLogits(network, inputs), inputs.targets));
}

type Kind = InterleavedExample['task'];
type ExampleOf<K extends Kind> = Extract<InterleavedExample, { readonly task: K }>;

/** What examples are made into rows with. */
export interface ExampleReader {
  readonly network: ChameleonNetwork;
  readonly text: TextCodec;
  readonly imageTokenizer: ChameleonImageTokenizer;
}

/**
 * What a supervised step takes: of each kind of example its rows as tensors, and the kind's weight.
 * @throws RangeError for no examples, or options that cannot be used; PromptTooLongError
 */
export function supervisedInputs(
  reader: ExampleReader,
  examples: readonly InterleavedExample[],
  rng: Rng,
  options: SupervisedLossOptions = {},
): KindInputs<PackedInputs> {
  const { cfgDropout = 0.1, answerCorruption = 0, wrongCodes = 0, weights = {}, sizes } = options;
  for (const [name, share] of Object.entries({ cfgDropout, answerCorruption, wrongCodes }))
    if (!(share >= 0 && share <= 1)) throw new RangeError(`${name} is ${share}, expected a share from 0 to 1`);
  for (const [kind, weight] of Object.entries(weights))
    if (!Number.isFinite(weight)) throw new RangeError(`the weight of '${kind}' is ${weight}, expected a number`);
  if (examples.length === 0) throw new RangeError('a supervised step needs one example at least');
  const dropout = rng.split('dropout');
  const encoded = encodeOnce(reader, examples);
  const read = behindWrongCodes(drawnOf(examples), encoded, wrongCodes, rng.split('wrong codes'));
  const rows: Record<Kind, PackedRow[]> = {
    generate: ofKind(examples, 'generate').map((example) =>
      imageRow(reader, example, encoded, dropout.uniform() < cfgDropout, read),
    ),
    understand: withWordNoise(
      answerRows(reader, ofKind(examples, 'understand'), encoded),
      answerCorruption,
      rng.split('corruption'),
    ),
    text: ofKind(examples, 'text').map((example) => textRow(reader, example)),
    sequence: ofKind(examples, 'sequence').map((example) =>
      sequenceRow(reader, example, encoded, dropout.uniform() < cfgDropout, read),
    ),
  };
  const kinds = (Object.keys(rows) as Kind[]).filter((kind) => rows[kind].length > 0);
  for (const kind of kinds) checkLengths(reader.network.config, rows[kind]);
  const tensors = tf.tidy(() =>
    Object.fromEntries(
      kinds.map((kind) => {
        const own = packedSizes(rows[kind]);
        return [kind, scoredRows(reader.network, rows[kind], sizes ? sizes(kind, own) : roundedSizes(own))];
      }),
    ),
  );
  return { tensors, weights };
}

/** Sum over kinds of weight x mean over the scored tokens of that kind. A function of tensors. */
export function supervisedLoss(network: ChameleonNetwork, { tensors, weights }: KindInputs<PackedInputs>): tf.Scalar {
  return weightedLosses(tensors, weights, (inputs) => scoredLoss(network, inputs));
}

const ofKind = <K extends Kind>(examples: readonly InterleavedExample[], kind: K) =>
  examples.filter((example): example is ExampleOf<K> => example.task === kind);

const isEncoded = (image: Image | EncodedImage): image is EncodedImage => 'codes' in image;

/** The codes of every image that has none yet. */
function encodeOnce(reader: ExampleReader, examples: readonly InterleavedExample[]): Map<Image, EncodedImage> {
  const seen = examples.flatMap((example): (string | Image | EncodedImage)[] => {
    if (example.task === 'generate') return [example.image];
    if (example.task === 'sequence') return [...example.prompt, ...example.answer];
    return example.task === 'understand' ? [...example.parts] : [];
  });
  const images = [...new Set(seen.filter((part): part is Image => typeof part !== 'string' && !isEncoded(part)))];
  const { network, imageTokenizer } = reader;
  const grids = images.map((image) => gridOf(network.config, imageTokenizer.stride, image));
  const codes = imageTokenizer.encode(images);
  return new Map(images.map((image, i) => [image, { codes: codes[i], grid: grids[i] }]));
}

type Encoded = ReadonlyMap<Image, EncodedImage>;
const codesOf = (image: Image | EncodedImage, encoded: Encoded): EncodedImage =>
  isEncoded(image) ? image : (encoded.get(image) as EncodedImage);

/** `bos prompt image eos`; without its prompt the image alone, from position 0 on, as sampling has it. */
function imageRow(
  { network, text }: ExampleReader,
  { prompt, image }: ExampleOf<'generate'>,
  encoded: Encoded,
  dropped: boolean,
  read: Read,
): PackedRow {
  const { config, vocabulary: v, concept } = network;
  const own = codesOf(image, encoded);
  if (dropped) return imageAlone(network, own);
  const words = [...promptEncoder(text, concept)(prompt), ...endOfRequest(config, v)];
  const rowOf = (shown: EncodedImage) =>
    trainingExample(config, v, [
      { kind: 'text', ids: words, scored: false },
      { kind: 'image', ...shown, scored: true },
    ]);
  return plainRow({ ids: rowOf(read.get(image) ?? own).ids, labels: rowOf(own).labels });
}

function imageAlone({ config, vocabulary }: ChameleonNetwork, { codes, grid }: EncodedImage): PackedRow {
  const ids = imageIds(config, vocabulary, codes, grid);
  return plainRow({ ids, labels: ids });
}

/** The images that examples draw, in their order. */
const drawnOf = (examples: readonly InterleavedExample[]) =>
  examples.flatMap((example) => {
    if (example.task === 'generate') return [example.image];
    return example.task === 'sequence' ? example.answer.filter((part) => typeof part !== 'string') : [];
  });

/** What drawn images are read with; place by place, those of one other image of their size. */
type Read = ReadonlyMap<Image | EncodedImage, EncodedImage>;

function behindWrongCodes(drawn: readonly (Image | EncodedImage)[], encoded: Encoded, chance: number, rng: Rng): Read {
  const images = drawn.map((image) => codesOf(image, encoded));
  const read = images.map((image, i) => {
    const alike = images.map(({ codes }) => codes).filter(({ length }) => length === image.codes.length);
    const [codes] = withWrongCodes([image.codes], chance, rng.split(i), 'cosine', alike);
    return { ...image, codes: Int32Array.from(codes) };
  });
  return new Map(drawn.map((image, i) => [image, read[i]]));
}

/**
 * `bos prompt answer eos`, or its last image alone.
 * @param read what the images of the answer are read with; what is scored are their own codes
 */
function sequenceRow(
  { network, text }: ExampleReader,
  { prompt, answer }: SequenceExample,
  encoded: Encoded,
  dropped: boolean,
  read: Read,
): PackedRow {
  const { config, vocabulary: v, concept } = network;
  const images = answer.filter((part) => typeof part !== 'string');
  const last = images.at(-1);
  if (dropped && last) return imageAlone(network, codesOf(last, encoded));
  const words = promptEncoder(text, concept);
  const partOf = (part: string | Image | EncodedImage, scored: boolean) =>
    typeof part === 'string'
      ? ({ kind: 'text', ids: words(part), scored } as const)
      : ({ kind: 'image', ...codesOf(part, encoded), scored } as const);
  const end = { kind: 'text', ids: endOfRequest(config, v), scored: false } as const;
  const asked = [...prompt.map((part) => partOf(part, false)), end];
  const rowOf = (parts: SequenceExample['answer']) =>
    trainingExample(config, v, [...asked, ...parts.map((part) => partOf(part, true))]);
  const { ids } = rowOf(answer.map((part) => (typeof part === 'string' ? part : (read.get(part) ?? part))));
  return spoken(network, { ids, labels: rowOf(answer).labels });
}

/** A row in which no token of a subject is scored that is never said. */
function spoken({ concept }: ChameleonNetwork, { ids, labels }: Labelled): PackedRow {
  const silent = new Set(concept?.silent);
  return plainRow({ ids, labels: labels.map((id) => (silent.has(id) ? IGNORE : id)) });
}

/** `bos text eos`; of a subject's tokens only its own word is scored. */
function textRow({ network, text }: ExampleReader, example: ExampleOf<'text'>): PackedRow {
  const { config, vocabulary: v, concept } = network;
  const ids = promptEncoder(text, concept)(example.text);
  return spoken(network, trainingExample(config, v, [{ kind: 'text', ids, scored: true }]));
}

/** `bos parts answer end`; examples that have everything up to their last image in common share a row. */
function answerRows(
  { network, text }: ExampleReader,
  examples: readonly ExampleOf<'understand'>[],
  encoded: Encoded,
): PackedRow[] {
  const { config, vocabulary: v, concept } = network;
  const end = endOfRequest(config, v)[0] ?? v.eos;
  const turns = new Map<string, { readonly beginning: readonly number[]; readonly turns: Turn[] }>();
  for (const { parts, answer } of examples) {
    const words = promptEncoder(text, concept);
    const ids = parts.map((part) =>
      typeof part === 'string' ? words(part) : sequenceIds(config, v, [{ kind: 'image', ...codesOf(part, encoded) }]),
    );
    const last = parts.reduce((at, part, i) => (typeof part === 'string' ? at : i), -1);
    const beginning = [v.bos, ...ids.slice(0, last + 1).flat()];
    const question = [...ids.slice(last + 1).flat(), ...endOfRequest(config, v)];
    // What predicts the answer's first word belongs to the turn.
    if (question.length === 0) question.push(beginning.pop() as number);
    const key = beginning.join();
    if (!turns.has(key)) turns.set(key, { beginning, turns: [] });
    turns.get(key)?.turns.push({ question, answer: answerIds(text, concept, answer) });
  }
  return [...turns.values()].map((row) => packTurns(row.beginning, row.turns, end));
}

function checkLengths(config: ChameleonConfig, rows: readonly PackedRow[]): void {
  for (const { positions } of rows) {
    const length = 1 + positions.reduce((most, position) => Math.max(most, position), 0);
    if (length > config.text.max_position_embeddings)
      throw new PromptTooLongError(
        `an example has ${length} tokens; the model has ${config.text.max_position_embeddings} positions`,
      );
  }
}
