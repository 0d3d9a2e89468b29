/** Rotary positions (Su et al. 2021), halves convention, on the first `rotated` dimensions of each head. */
import { tf, turned, type TurnTables } from '../engine';

/** What turns queries and keys, with `dim` the size of a head. */
export type RotaryTables = TurnTables;

/** Which dimensions turn, and how fast. */
export interface RotaryConfig {
  readonly headDim: number;
  /** Even number of dimensions that are turned, at most `headDim`. */
  readonly rotated: number;
  readonly theta: number;
  /** Positions are divided by it. Default 1. */
  readonly factor?: number;
}

/**
 * Tables of tokens that stand at given positions.
 * @param positions one list for all rows, `[tokens]`, or one list a row, `[batch][tokens]`; whole numbers from 0
 * @throws RangeError for an odd or too large `rotated`, for rows of different lengths, and for none
 */
export function rotaryTables(
  positions: ArrayLike<number> | readonly ArrayLike<number>[],
  config: RotaryConfig,
): RotaryTables {
  const { headDim, rotated } = config;
  if (rotated % 2 || rotated > headDim || rotated < 2)
    throw new RangeError(`rotary: ${rotated} of ${headDim} dimensions cannot be turned`);
  const isPerRow = typeof positions[0] === 'object';
  const rows = (isPerRow ? positions : [positions]) as readonly ArrayLike<number>[];
  const tokens = rows[0].length;
  if (rows.some((row) => row.length !== tokens))
    throw new RangeError(
      `rotary: rows of one batch stand at positions of one length, got ${rows.map((r) => r.length)}`,
    );
  const cos = new Float32Array(rows.length * tokens * headDim);
  const sin = new Float32Array(rows.length * tokens * headDim);
  const turnAt = turnsOf(config);
  rows.forEach((row, b) => {
    for (let t = 0; t < tokens; t++) {
      const turn = turnAt(row[t]);
      cos.set(turn.cos, (b * tokens + t) * headDim);
      sin.set(turn.sin, (b * tokens + t) * headDim);
    }
  });
  const shape = isPerRow ? [rows.length, 1, tokens, headDim] : [tokens, headDim];
  return { cos: tf.tensor(cos, shape), sin: tf.tensor(sin, shape), swap: swapOf(headDim, rotated) };
}

interface Turn {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Turns that were computed before, by what they depend on: a batch has thousands of tokens at few positions. */
const known = new Map<string, Map<number, Turn>>();

function turnsOf({ headDim, rotated, theta, factor = 1 }: RotaryConfig): (position: number) => Turn {
  const key = `${headDim} ${rotated} ${theta} ${factor}`;
  const turns = known.get(key) ?? new Map<number, Turn>();
  known.set(key, turns);
  const half = rotated / 2;
  return (position) => {
    const found = turns.get(position);
    if (found) return found;
    const turn = { cos: new Float32Array(headDim).fill(1), sin: new Float32Array(headDim) };
    for (let i = 0; i < half; i++) {
      const angle = (position / factor) * theta ** ((-2 * i) / rotated);
      for (const at of [i, i + half]) {
        turn.cos[at] = Math.cos(angle);
        turn.sin[at] = Math.sin(angle);
      }
    }
    turns.set(position, turn);
    return turn;
  };
}

function swapOf(headDim: number, rotated: number): tf.Tensor2D {
  const swap = new Float32Array(headDim * headDim);
  const half = rotated / 2;
  for (let i = 0; i < half; i++) {
    swap[(i + half) * headDim + i] = -1;
    swap[i * headDim + i + half] = 1;
  }
  return tf.tensor2d(swap, [headDim, headDim]);
}

/** Turns queries or keys `[batch, heads, tokens, headDim]`. */
export function rotary(x: tf.Tensor4D, tables: RotaryTables): tf.Tensor4D {
  return turned(x, tables);
}
