/** Sampling text: answers to questions about an image, or to text alone. */
import { readValues, type Rng, tf } from '../../engine';
import { evenPart, partsOf, roomFor, sizeFor } from '../../nn/buckets';
import { Decoder, distinct } from '../../nn/decoder';
import type { KvCache } from '../../nn/kv-cache';
import type { RowInputs } from '../../nn/row-inputs';
import { sharedTexts } from '../../nn/shared-texts';
import { checkSampling, drawToken, keptTokens, logProbOf, scoringTemperature } from '../../nn/token-sampling';
import type { TextOptions } from '../unified';
import { rotaryOf } from './layers';
import { understandingEoi } from './layout';
import { causalMask, understandingMask } from './masks';
import type { ShowoNetwork } from './network';

/** Answers of so many tokens at most are short: where their rows end is of no weight, and one shape serves all. */
const SHORT = 16;

/** Rows of short answers that go on together; more of them go on part after part. */
const ROWS = 24;

/** A row of text to be continued. */
export interface TextRow {
  readonly ids: readonly number[];
  /** Whether it starts with an image (understanding layout). */
  readonly image: boolean;
}

export interface TextSamplerOptions extends TextOptions {
  /** `text`: only text can be said (default); `all`: the whole vocabulary, as upstream samples. */
  readonly vocabulary?: 'text' | 'all';
}

/** A continuation. */
export interface SampledText {
  /** Ids, with eot when it was reached, `[tokens]`. */
  readonly ids: Int32Array;
  /** log p of each id under the distribution that it was drawn from, `[tokens]`. */
  readonly logProbs: Float32Array;
  /** The ids that top-k and top-p left to be drawn, token by token; absent where they left all. */
  readonly kept?: readonly Int32Array[];
  readonly finished: boolean;
}

/**
 * Continues every row.
 * @param rngs one a row; not used when greedy
 * @throws RangeError for options that are no numbers, or out of range
 */
export function sampleTexts(
  network: ShowoNetwork,
  rows: readonly TextRow[],
  rngs: readonly Rng[],
  options: TextSamplerOptions = {},
): SampledText[] {
  const { maxNewTokens = 64, vocabulary = 'text' } = options;
  checkSampling(options);
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1)
    throw new RangeError(`maxNewTokens is ${maxNewTokens}, expected a positive integer`);
  const states = rows.map(({ ids }): TextState => ({ last: ids[ids.length - 1], ids: [], logProbs: [], kept: [] }));
  const size = maxNewTokens <= SHORT ? evenPart(Math.max(1, rows.length), ROWS) : rows.length;
  for (const part of partsOf([...rows.keys()], size)) {
    const own = <T>(list: readonly T[]) => part.map((b) => list[b]);
    continueRows(network, own(rows), own(rngs), own(states), { ...options, maxNewTokens, vocabulary });
  }
  return states.map(({ ids, logProbs, kept, last }) => ({
    ids: Int32Array.from(ids),
    logProbs: Float32Array.from(logProbs),
    ...(kept.length > 0 ? { kept } : {}),
    finished: last === network.vocabulary.eot,
  }));
}

/** One token a row. */
type TokenIds = { readonly ids: tf.Tensor2D };

/** A row on its way. */
interface TextState {
  last: number;
  readonly ids: number[];
  readonly logProbs: number[];
  readonly kept: Int32Array[];
}

function continueRows(
  network: ShowoNetwork,
  rows: readonly TextRow[],
  rngs: readonly Rng[],
  states: readonly TextState[],
  options: TextSamplerOptions & { readonly maxNewTokens: number; readonly vocabulary: 'text' | 'all' },
): void {
  const { maxNewTokens, vocabulary } = options;
  const isShort = maxNewTokens <= SHORT;
  const room = Math.max(...rows.map(({ ids }) => ids.length)) + maxNewTokens - 1;
  const idOf = vocabulary === 'all' ? (index: number) => index : network.sayableIds.idOf;
  const decoder = new Decoder({
    owner: network,
    name: `word by word, ${vocabulary}`,
    layers: network.config.num_hidden_layers,
    room: isShort ? roomFor(room) : room,
    keepsRows: isShort,
    rotary: rotaryOf(network.config),
    inputs: (ids): TokenIds => ({ ids: tf.tensor2d(Int32Array.from(ids.flat()), [ids.length, 1], 'int32') }),
    read: ({ ids }, at) => network.following(ids, at),
    head: (hidden) => logitsOver(network, hidden, vocabulary),
  });
  try {
    let live = [...rows.keys()];
    let logits = readPrompts(network, decoder, rows);
    for (let step = 1; ; step++) {
      const width = logits.length / live.length;
      live.forEach((b, i) => {
        const state = states[b];
        const index = drawToken(logits, i * width, width, options, rngs[b]);
        const kept = keptTokens(logits, i * width, width, options);
        state.logProbs.push(logProbOf(logits, i * width, width, index, scoringTemperature(options), kept));
        if (kept) state.kept.push(kept.map(idOf));
        state.last = idOf(index);
        state.ids.push(state.last);
      });
      const on = [...live.keys()].filter((i) => states[live[i]].last !== network.vocabulary.eot);
      if (on.length === 0 || step === maxNewTokens) return;
      decoder.select(on);
      live = on.map((i) => live[i]);
      const last = live.map((b) => states[b].last);
      logits = readValues(() => decoder.next(last));
    }
  } finally {
    decoder.dispose();
  }
}

/** Prompts that are equal (a group's) are read once. */
function readPrompts(network: ShowoNetwork, decoder: Decoder<TokenIds>, rows: readonly TextRow[]): Float32Array {
  const { unique, of } = distinct(rows.map(keyOf));
  const prompts = unique.map((_, i) => rows[of.indexOf(i)]);
  const counts = prompts.map(({ ids }) => ids.length);
  const read = (cache: KvCache) => network.hidden(textInputs(network, prompts, 0), { cache, counts });
  return readValues(() => decoder.start(counts, of, read));
}

/**
 * Logits that predict what follows the given positions, `[all positions, sayable ids]`, rows in order.
 * Rows may differ in length: they are padded on the right, where causal attention cannot see.
 * @param length tokens to make room for; rounded up to one of a few. Default: the longest row's
 */
export function nextLogits(
  network: ShowoNetwork,
  rows: readonly TextRow[],
  positions: readonly (readonly number[])[],
  vocabulary: 'text' | 'all' = 'text',
  length = Math.max(...rows.map(({ ids }) => ids.length)),
): tf.Tensor2D {
  return tf.tidy(() => logitsAt(network, nextInputs(network, rows, positions, length), vocabulary));
}

/**
 * Logits that predict what follows the given positions, `[all positions, sayable ids]`, rows in order. Rows that go on
 * from the same prompt share its computation.
 * @param positions counted from the prompt's beginning
 */
export function continuedLogits(
  network: ShowoNetwork,
  rows: readonly { readonly prefix: TextRow; readonly rest: readonly number[] }[],
  positions: readonly (readonly number[])[],
): tf.Tensor2D {
  const { config, vocabulary: v } = network;
  const isImage = new Map(rows.map(({ prefix }) => [keyOf(prefix), prefix.image]));
  const texts = sharedTexts(
    rows.map(({ prefix, rest }) => ({ beginning: prefix.ids, rest, key: keyOf(prefix) })),
    v.pad,
    rotaryOf(config),
    ({ key }, length) =>
      isImage.get(key as string) ? understandingMask(length, understandingEoi(config)) : causalMask(length),
  );
  const at = positions.flatMap((list, b) => list.map((position) => texts.placeOf(b, position)));
  return tf.tidy(() => {
    const { ids, ...shared } = texts.inputs();
    return network.textLogits(network.layers.hiddenAt(ids, shared, tf.tensor1d(at, 'int32')));
  });
}

const keyOf = ({ ids, image }: TextRow): string => `${image} ${ids.join()}`;

/** Rows of text as tensors, of one of a few lengths. */
export type NextInputs = RowInputs & {
  /** int32 `[all positions]`, in the flattened batch. */
  readonly at: tf.Tensor1D;
};

function nextInputs(
  network: ShowoNetwork,
  rows: readonly TextRow[],
  positions: readonly (readonly number[])[],
  atLeast: number,
): NextInputs {
  const inputs = textInputs(network, rows, atLeast);
  const [, length] = inputs.ids.shape;
  const at = positions.flatMap((list, b) => list.map((position) => b * length + position));
  return { ...inputs, at: tf.tensor1d(at, 'int32') };
}

/** Rows padded on the right, to one of a few lengths. */
function textInputs(network: ShowoNetwork, rows: readonly TextRow[], atLeast: number): RowInputs {
  const { config, vocabulary: v } = network;
  const length = sizeFor(Math.max(atLeast, ...rows.map(({ ids }) => ids.length)), 4);
  const padded = rows.map(({ ids }) => [...ids, ...new Array<number>(length - ids.length).fill(v.pad)]);
  const masks = rows.map(({ image }) =>
    image ? understandingMask(length, understandingEoi(config)) : causalMask(length),
  );
  return network.inputs(padded, masks);
}

function logitsOver(network: ShowoNetwork, hidden: tf.Tensor2D, vocabulary: 'text' | 'all'): tf.Tensor2D {
  return vocabulary === 'all' ? network.logits(hidden) : network.textLogits(hidden);
}

/** A function of tensors. */
function logitsAt(network: ShowoNetwork, inputs: NextInputs, vocabulary: 'text' | 'all'): tf.Tensor2D {
  return tf.tidy(() => logitsOver(network, network.hiddenAt(inputs, inputs.at), vocabulary));
}
