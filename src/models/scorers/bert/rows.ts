/** Token rows as the text scorers take them: checked once at the border, then tensors. */
import { tf } from '../../../engine';

/** A batch of token rows of one length. */
export interface TokenRows {
  /** Token numbers, one row a text, padded to one length. */
  readonly ids: readonly ArrayLike<number>[];
  /** 1 where a token is, 0 where padded; rows as long as those of `ids`. Default: 1 everywhere. */
  readonly mask?: readonly ArrayLike<number>[];
}

/** Added to attention scores where nothing is to be seen: far enough that nothing is left after softmax. */
const HIDDEN = -1e9;

/**
 * Rows of any lengths brought to one, with the mask that tells tokens from padding.
 * @param pad the padding's token number; default 0
 * @param length default: the longest row's
 */
export function padRows(rows: readonly ArrayLike<number>[], pad = 0, length?: number): Required<TokenRows> {
  const width = length ?? Math.max(...rows.map((row) => row.length));
  const filled = (of: (row: ArrayLike<number>, i: number) => number, rest: number) =>
    rows.map((row) => Array.from({ length: width }, (_, i) => (i < row.length ? of(row, i) : rest)));
  return { ids: filled((row, i) => row[i], pad), mask: filled(() => 1, 0) };
}

/** What a model can take. */
export interface RowLimits {
  /** The model's name, for errors. */
  readonly model: string;
  /** Number of token numbers. */
  readonly vocabulary: number;
  /** Longest row. */
  readonly positions: number;
}

/** Checks a batch. @returns its shape @throws RangeError naming what does not fit, with row and position */
export function checkRows({ ids, mask }: TokenRows, limits: RowLimits): [batch: number, tokens: number] {
  const { model, vocabulary, positions } = limits;
  if (ids.length === 0) throw new RangeError(`${model} was given no row of tokens`);
  const tokens = ids[0].length;
  if (tokens === 0) throw new RangeError(`${model}: row 0 is empty`);
  if (tokens > positions) throw new RangeError(`${model} reads at most ${positions} tokens; row 0 has ${tokens}`);
  checkTable(ids, [ids.length, tokens], vocabulary, `${model}: token`);
  if (mask) {
    checkTable(mask, [ids.length, tokens], 2, `${model}: mask`);
    mask.forEach((row, r) => {
      if (!Array.from(row).includes(1)) throw new RangeError(`${model}: the mask of row ${r} shows no token`);
    });
  }
  return [ids.length, tokens];
}

/** Checks that a table has that shape and integers in 0 .. count - 1. @throws RangeError with row and position */
export function checkTable(
  table: readonly ArrayLike<number>[],
  shape: readonly [number, number],
  count: number,
  what: string,
): void {
  if (table.length !== shape[0])
    throw new RangeError(`${what} rows: there are ${table.length}, expected ${shape[0]} as of the tokens`);
  table.forEach((row, r) => {
    if (row.length !== shape[1])
      throw new RangeError(`${what} row ${r} has ${row.length} entries, expected ${shape[1]}; pad rows to one length`);
    for (let i = 0; i < row.length; i++) {
      if (!Number.isInteger(row[i]) || row[i] < 0 || row[i] >= count)
        throw new RangeError(`${what} ${row[i]} at row ${r}, position ${i} is outside 0..${count - 1}`);
    }
  });
}

/** A table of integers as a tensor `[rows, columns]`. */
export function tableTensor(table: readonly ArrayLike<number>[], dtype: 'int32' | 'float32' = 'int32'): tf.Tensor2D {
  const columns = table[0].length;
  const flat = new (dtype === 'int32' ? Int32Array : Float32Array)(table.length * columns);
  table.forEach((row, r) => flat.set(row, r * columns));
  return tf.tensor2d(flat, [table.length, columns], dtype);
}

/** What is added to attention scores: `[batch, 1, 1, tokens]`, 0 at tokens; null when nothing is hidden. */
export function paddingMask(mask: readonly ArrayLike<number>[] | undefined): tf.Tensor4D | null {
  if (!mask || mask.every((row) => Array.from(row).every((seen) => seen === 1))) return null;
  return tf.tidy(() =>
    tf.reshape<tf.Rank.R4>(tf.mul(tf.sub(1, tableTensor(mask, 'float32')), HIDDEN), [
      mask.length,
      1,
      1,
      mask[0].length,
    ]),
  );
}

/**
 * What is added to attention scores where each token sees itself and what stands before it.
 * @param past how many keys stand before the first query
 * @returns `[1, 1, tokens, past + tokens]`, or null for a single query, which sees all
 */
export function causalPart(tokens: number, past = 0): tf.Tensor4D | null {
  if (tokens === 1) return null;
  const keys = past + tokens;
  const values = Float32Array.from({ length: tokens * keys }, (_, at) =>
    at % keys > past + Math.floor(at / keys) ? HIDDEN : 0,
  );
  return tf.tensor4d(values, [1, 1, tokens, keys]);
}

/** The sum of two such masks. Twice hidden is hidden as well. */
export function bothMasks(a: tf.Tensor4D | null, b: tf.Tensor4D | null): tf.Tensor4D | null {
  return a && b ? tf.add<tf.Tensor4D>(a, b) : (a ?? b);
}
