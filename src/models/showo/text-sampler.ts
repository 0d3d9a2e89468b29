/** Sampling text: answers to questions about an image, or to text alone. */
import { readValues, type Rng, tf } from '../../engine';
import { rowsFor, sizeFor } from '../../nn/buckets';
import { type RowInputs, scoredHidden } from '../../nn/row-inputs';
import { checkSampling, drawToken, keptTokens, logProbOf, scoringTemperature } from '../../nn/token-sampling';
import type { TextOptions } from '../unified';
import { understandingEoi } from './layout';
import { causalMask, understandingMask } from './masks';
import type { ShowoNetwork } from './network';

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
  const idOf = vocabulary === 'all' ? (index: number) => index : network.sayableIds.idOf;
  const states = rows.map(({ ids, image }) => ({
    ids: [...ids],
    image,
    logProbs: [] as number[],
    kept: [] as Int32Array[],
    finished: false,
  }));
  const longestPrompt = Math.max(...rows.map(({ ids }) => ids.length));
  for (let step = 0; step < maxNewTokens; step++) {
    const live = states.flatMap((state, b) => (state.finished ? [] : [{ state, b }]));
    if (live.length === 0) break;
    const growing = live.map(({ state }) => state);
    // Rows that ended are computed on until half of the batch has: three shapes for each length.
    const computed = rowsFor(live.length, states.length);
    const filled = [...growing, ...Array.from({ length: computed - live.length }, () => growing[0])];
    const ends = filled.map(({ ids }) => [ids.length - 1]);
    const length = longestPrompt + roomFor(step + 1, maxNewTokens);
    const logits = readValues(() => nextLogits(network, filled, ends, vocabulary, length));
    const width = logits.length / computed;
    live.forEach(({ state, b }, i) => {
      const index = drawToken(logits, i * width, width, options, rngs[b]);
      const kept = keptTokens(logits, i * width, width, options);
      state.logProbs.push(logProbOf(logits, i * width, width, index, scoringTemperature(options), kept));
      if (kept) state.kept.push(kept.map(idOf));
      const id = idOf(index);
      state.ids.push(id);
      state.finished = id === network.vocabulary.eot;
    });
  }
  return states.map(({ ids, logProbs, kept, finished }, b) => ({
    ids: Int32Array.from(ids.slice(rows[b].ids.length)),
    logProbs: Float32Array.from(logProbs),
    ...(kept.length > 0 ? { kept } : {}),
    finished,
  }));
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

/** Tokens that are made room for: 8, 16, 32 .., so that the length of rows does not change with every token. */
function roomFor(tokens: number, most: number): number {
  return Math.min(most, 8 * 2 ** Math.max(0, Math.ceil(Math.log2(tokens / 8))));
}

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
  const { config, vocabulary: v } = network;
  const length = sizeFor(atLeast, 4);
  const padded = rows.map(({ ids }) => [...ids, ...new Array<number>(length - ids.length).fill(v.pad)]);
  const masks = rows.map(({ image }) =>
    image ? understandingMask(length, understandingEoi(config)) : causalMask(length),
  );
  const at = positions.flatMap((list, b) => list.map((position) => b * length + position));
  return { ...network.inputs(padded, masks), at: tf.tensor1d(at, 'int32') };
}

/** A function of tensors. */
function logitsAt(network: ShowoNetwork, inputs: NextInputs, vocabulary: 'text' | 'all'): tf.Tensor2D {
  return tf.tidy(() => {
    const picked = scoredHidden(network.hidden(inputs), inputs.at);
    return vocabulary === 'all' ? network.logits(picked) : network.textLogits(picked);
  });
}
