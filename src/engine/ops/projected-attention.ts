/** Attention from projections to mixed values, with everything around it that is done head by head, as one operation. */
import * as tf from '@tensorflow/tfjs';
import type { HeadNorm } from './begun-attention';
import { withGradient } from './custom';
import { float, hasOwnKernel, kernels } from './kernel';
import type { TurnTables } from './turns';

const OPERATION = 'UnilabAttention';

let usesIt = false;

/** From now on {@link hasProjectedAttention}, where there is such a kernel: its products are rounded to bfloat16. */
export function useProjectedAttention(): void {
  usesIt = true;
}

/** Whether {@link projectedAttention} can be called; its parts one by one do the same. */
export function hasProjectedAttention(): boolean {
  return usesIt && hasOwnKernel(OPERATION);
}

/** Sequences of one length. */
export interface AttendingSequences {
  /** Added to scores, `[1 or sequences, 1, 1 or tokens, keys]`; null: all is seen. */
  readonly mask: tf.Tensor4D | null;
  /** Where their tokens stand: `[tokens, headDim]`, or `[sequences, 1, tokens, headDim]`. */
  readonly tables: TurnTables;
}

export interface ProjectedInputs {
  /** Of all tokens, `[.., heads * headDim]`. */
  readonly q: tf.Tensor;
  /** Several heads of queries may share one of keys and values; they stand together. `[.., groups * headDim]` */
  readonly k: tf.Tensor;
  readonly v: tf.Tensor;
  /** Of queries and of keys, before positions are applied. */
  readonly norms?: { readonly q: HeadNorm; readonly k: HeadNorm; readonly epsilon: number };
  /** Keys: those of the row's beginning, then its own. */
  readonly rows: AttendingSequences;
  /** Where rows go on from sequences that stand before them. Keys of those: their own. */
  readonly begun?: AttendingSequences & {
    /** int32 `[rows]`: the beginning that each row goes on from. */
    readonly owner: tf.Tensor1D;
  };
}

/**
 * Norms queries and keys, turns them to their positions, and attends: `softmax(q k^T * scale + mask) v`. No scores are
 * kept; the gradient computes them again (Dao et al. 2022, FlashAttention).
 * @param scale default `1 / sqrt(headDim)`
 * @returns in the shape of `q`
 * @throws RangeError when shapes do not fit
 */
export function projectedAttention(inputs: ProjectedInputs, scale?: number): tf.Tensor {
  const { q, k, v, norms, rows, begun } = inputs;
  const dim = check(inputs);
  const attributes = () => [float('epsilon', norms?.epsilon ?? 0), float('scale', scale ?? dim ** -0.5)];
  const weights = norms ? [norms.q.weight, norms.q.bias, norms.k.weight, norms.k.bias] : [];
  return withGradient([q, k, v, ...weights], (save) => {
    const none = tf.tensor1d([]);
    const tablesOf = ({ tables, mask }: AttendingSequences) => [tables.cos, tables.sin, mask ?? none];
    const noTable = tf.tensor2d([], [0, dim]);
    const all = [
      ...[q, k, v],
      ...(norms ? weights : [none, none, none, none]),
      ...(begun ? tablesOf(begun) : [noTable, noTable, none]),
      ...tablesOf(rows),
      begun?.owner ?? tf.tensor1d([], 'int32'),
      rows.tables.swap,
    ];
    const [value, kept] = kernels(OPERATION, attributes(), all, 2);
    save([...all, value, kept]);
    return {
      value,
      gradient: (dy, saved) => {
        const [dq, dk, dv, ...rest] = kernels(`${OPERATION}Grad`, attributes(), [...saved, dy], 7);
        if (norms) return [dq, dk, dv, ...rest];
        tf.dispose(rest);
        return [dq, dk, dv];
      },
    };
  });
}

/** @returns headDim */
function check({ q, k, v, norms, rows, begun }: ProjectedInputs): number {
  const dim = rows.tables.swap.shape[0];
  const width = ({ shape }: tf.Tensor) => shape[shape.length - 1];
  const tokens = q.size / width(q);
  const [shared, own] = [begun ? tokensOf(begun) : 0, tokensOf(rows)];
  const count = begun ? begun.owner.size : tokens / own;
  const first = tokens - count * own;
  const fits = [
    [q, k, v].every((x) => width(x) % dim === 0 && x.size / width(x) === tokens),
    width(k) === width(v) && width(q) % width(k) === 0,
    Number.isInteger(count) && (begun ? first >= 0 && first % shared === 0 : first === 0),
    sees(rows.mask, count, own, shared + own) && tableFits(rows.tables, count, own, dim),
    !begun ||
      (sees(begun.mask, first / shared, shared, shared) && tableFits(begun.tables, first / shared, shared, dim)),
    !norms || [norms.q, norms.k].every(({ weight, bias }) => weight.size === dim && bias.size === dim),
  ];
  if (fits.every(Boolean)) return dim;
  throw new RangeError(
    `projectedAttention: q [${q.shape}], k [${k.shape}] and v [${v.shape}] do not fit heads of ${dim}, ` +
      `${count} rows of ${own} tokens behind beginnings of ${shared}, or masks [${rows.mask?.shape}] and [${begun?.mask?.shape}]`,
  );
}

const tokensOf = ({ tables: { cos } }: AttendingSequences): number => cos.shape[cos.rank - 2] ?? 0;

const isOneOf = (size: number, ...allowed: number[]): boolean => allowed.includes(size);

function sees(mask: tf.Tensor4D | null, sequences: number, tokens: number, keys: number): boolean {
  if (!mask) return true;
  const [rows, heads, queries, seen] = mask.shape;
  return isOneOf(rows, 1, sequences) && heads === 1 && isOneOf(queries, 1, tokens) && seen === keys;
}

function tableFits({ cos, sin }: TurnTables, sequences: number, tokens: number, dim: number): boolean {
  return [cos, sin].every(({ size }) => isOneOf(size, tokens * dim, sequences * tokens * dim));
}
