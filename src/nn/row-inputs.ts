/**
 * What a forward pass over rows takes, as tensors and nothing else. It is prepared from plain numbers; from there on a
 * loss is a function of these tensors and the weights, which can be compiled once for each of their shapes.
 */
import { tf } from '../engine';
import { sizeFor, type Sizes } from './buckets';
import { additiveMask } from './causal-mask';
import { IGNORE, longestOf, packedMask, type PackedRow, padRows, scoredCount, scoredOf } from './packed-rows';
import { type RotaryConfig, type RotaryTables, rotaryTables } from './rotary';

/** Rows of one length. A type, not an interface: a plain record of tensors is what tf.js disposes. */
export type RowInputs = {
  /** int32 `[rows, tokens]` */
  readonly ids: tf.Tensor2D;
  /** Added to attention scores, `[rows or 1, 1, tokens, tokens]`. */
  readonly mask: tf.Tensor4D;
  /** Where the tokens stand. */
  readonly tables: RotaryTables;
};

/** Places whose next token is scored, and those tokens; the loss is their mean. */
export type ScoredInputs = {
  /** int32 `[size]`, places in the flattened batch; 0 for padding. */
  readonly at: tf.Tensor1D;
  /** int32 `[size]`, {@link IGNORE} for padding, which takes no part in the mean and gets no gradient. */
  readonly targets: tf.Tensor1D;
};

export type PackedInputs = RowInputs & ScoredInputs;

/** Counts of packed rows that vary from batch to batch. */
export type PackedSizes = Sizes<'rows' | 'length' | 'scored'>;

export function packedSizes(rows: readonly PackedRow[]): PackedSizes {
  return { rows: rows.length, length: longestOf(rows), scored: scoredCount(rows) };
}

/** What logits of one scored token cost, in tokens of the decoder: about a quarter, in the mini models. */
const LOGITS = 0.25;

/** Work of padded rows, in tokens of the decoder. */
export function workOf({ rows, length, scored }: PackedSizes): number {
  return rows * length + LOGITS * scored;
}

/** Sizes for rows that nothing is known of beforehand: each count by itself, rounded up. */
export function roundedSizes({ rows, length, scored }: PackedSizes): PackedSizes {
  return { rows: sizeFor(rows, 4), length: sizeFor(length, 8), scored: Math.max(16, sizeFor(scored, 4)) };
}

/**
 * @param pad id that fills rows up
 * @param sizes what is padded to; default: the rows' own
 * @throws RangeError when the rows do not fit into the sizes
 */
export function packedInputs(
  rows: readonly PackedRow[],
  pad: number,
  rotary: RotaryConfig,
  sizes: PackedSizes = packedSizes(rows),
): PackedInputs {
  const all = paddedTo(rows, pad, sizes);
  const { at, targets } = scoredOf(all);
  // Sequences of their own are all seen and placed alike.
  const isPlain = rows.every((row) => row.shared === row.ids.length && !row.mutual);
  const counted = Array.from({ length: sizes.length }, (_, i) => i);
  const masks = isPlain ? [packedMask({ ...all[0], shared: sizes.length })] : all.map(packedMask);
  const positions = isPlain ? counted : all.map((row) => row.positions);
  return {
    ...rowInputs(
      all.map((row) => row.ids),
      masks,
      rotaryTables(positions, rotary),
    ),
    ...scoredInputs(at, targets, sizes.scored),
  };
}

/** Ids and masks of rows of one length. */
export function rowInputs(
  rows: readonly ArrayLike<number>[],
  masks: readonly Uint8Array[],
  tables: RotaryTables,
): RowInputs {
  const tokens = rows[0].length;
  const ids = new Int32Array(rows.length * tokens);
  rows.forEach((row, b) => ids.set(row, b * tokens));
  return { ids: tf.tensor2d(ids, [rows.length, tokens], 'int32'), mask: additiveMask(masks, tokens), tables };
}

/** @param size how many places there are to be, padding included @throws RangeError for more places than that */
export function scoredInputs(at: readonly number[], targets: readonly number[], size = at.length): ScoredInputs {
  if (at.length > size) throw new RangeError(`${at.length} tokens are scored, there is room for ${size}`);
  const places = new Int32Array(size);
  places.set(at);
  const labels = new Int32Array(size).fill(IGNORE);
  labels.set(targets);
  return { at: tf.tensor1d(places, 'int32'), targets: tf.tensor1d(labels, 'int32') };
}

/** Rows of one length; those that are missing are nothing but padding, and score nothing. @throws RangeError; see above */
export function paddedTo(rows: readonly PackedRow[], pad: number, sizes: PackedSizes): PackedRow[] {
  if (rows.length > sizes.rows) throw new RangeError(`there are ${rows.length} rows, there is room for ${sizes.rows}`);
  const empty = { ids: [pad], labels: [IGNORE], positions: [0], starts: [0], shared: 1 };
  const missing = Array.from({ length: sizes.rows - rows.length }, () => empty);
  return padRows([...rows, ...missing], pad, sizes.length);
}

/** The places' hidden states, `[size, width]`. @param hidden `[rows, tokens, width]` */
export function scoredHidden(hidden: tf.Tensor3D, at: tf.Tensor1D): tf.Tensor2D {
  return tf.gather(tf.reshape<tf.Rank.R2>(hidden, [-1, hidden.shape[2]]), at);
}
