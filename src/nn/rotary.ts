/** Rotary positions (Su et al. 2021), halves convention, on the first `rotated` dimensions of each head. */
import { tf } from '../engine';

export interface RotaryTables {
  /** `[tokens, headDim]`, or `[batch, 1, tokens, headDim]` where rows differ; 1 on dimensions that are not turned. */
  readonly cos: tf.Tensor;
  /** Shaped as `cos`; 0 on dimensions that are not turned. */
  readonly sin: tf.Tensor;
  /** `[headDim, headDim]`: x times this is x with its rotated halves swapped and the first one negated. */
  readonly swap: tf.Tensor2D;
}

/**
 * Tables for positions 0..tokens-1 (or the given ones).
 * @param rotated even number of dimensions that are turned, at most `headDim`
 * @throws RangeError for an odd or too large `rotated`
 */
export function rotaryTables(
  tokens: number,
  headDim: number,
  rotated: number,
  theta: number,
  positions?: ArrayLike<number>,
): RotaryTables {
  if (rotated % 2 || rotated > headDim || rotated < 2)
    throw new RangeError(`rotary: ${rotated} of ${headDim} dimensions cannot be turned`);
  const half = rotated / 2;
  const cos = new Float32Array(tokens * headDim).fill(1);
  const sin = new Float32Array(tokens * headDim);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < half; i++) {
      const angle = (positions ? positions[t] : t) * theta ** ((-2 * i) / rotated);
      for (const at of [i, i + half]) {
        cos[t * headDim + at] = Math.cos(angle);
        sin[t * headDim + at] = Math.sin(angle);
      }
    }
  }
  const swap = new Float32Array(headDim * headDim);
  for (let i = 0; i < half; i++) {
    swap[(i + half) * headDim + i] = -1;
    swap[i * headDim + i + half] = 1;
  }
  return {
    cos: tf.tensor2d(cos, [tokens, headDim]),
    sin: tf.tensor2d(sin, [tokens, headDim]),
    swap: tf.tensor2d(swap, [headDim, headDim]),
  };
}

/** Tables for rows whose tokens stand at positions of their own. @param positions `[batch][tokens]` */
export function rotaryTablesOf(
  positions: readonly ArrayLike<number>[],
  headDim: number,
  rotated: number,
  theta: number,
): RotaryTables {
  return tf.tidy(() => {
    const flat = Int32Array.from(positions.flatMap((row) => Array.from(row)));
    const shape: [number, number, number, number] = [positions.length, 1, positions[0].length, headDim];
    const whole = rotaryTables(flat.reduce((a, b) => Math.max(a, b), 0) + 1, headDim, rotated, theta);
    const rows = tf.tensor1d(flat, 'int32');
    const take = (table: tf.Tensor) => tf.reshape<tf.Rank.R4>(tf.gather(table, rows), shape);
    return { cos: take(whole.cos), sin: take(whole.sin), swap: whole.swap };
  });
}

/**
 * Turns queries or keys `[batch, heads, tokens, headDim]`. The swap is a matrix product: slicing and concatenating
 * halves costs more passes over memory and needs gradients that some engines lack.
 */
export function rotary(x: tf.Tensor4D, tables: RotaryTables): tf.Tensor4D {
  const { shape } = x;
  const swapped = tf.reshape(tf.matMul(tf.reshape<tf.Rank.R2>(x, [-1, shape[3]]), tables.swap), shape);
  return tf.add(tf.mul(x, tables.cos), tf.mul(swapped, tables.sin));
}
