/** Attention of rows that go on from beginnings, with everything around it that is done head by head, as one operation. */
import type * as tf from '@tensorflow/tfjs';
import type { KeysValues } from './cached-attention';
import { float, hasOwnKernel, int, kernel } from './kernel';

const OPERATION = 'UnilabBegunAttention';

/** Scale and shift of a layer norm over a head's dimensions, `[headDim]`. */
export interface HeadNorm {
  readonly weight: tf.Tensor;
  readonly bias: tf.Tensor;
}

export interface BegunAttentionInputs {
  /** Projections of all tokens, `[rows, tokens, heads * headDim]`. */
  readonly q: tf.Tensor3D;
  readonly k: tf.Tensor3D;
  readonly v: tf.Tensor3D;
  /** Of queries and of keys, before positions are applied. */
  readonly norms: { readonly q: HeadNorm; readonly k: HeadNorm };
  /** Where the tokens stand, the same for all rows: `[tokens, headDim]`. */
  readonly tables: { readonly cos: tf.Tensor; readonly sin: tf.Tensor };
  /** Of the beginnings, positions already applied, `[beginnings, heads, shared, headDim]`. */
  readonly begun: KeysValues;
  /** int32 `[rows]`: the beginning that each row goes on from. */
  readonly owner: tf.Tensor1D;
  /** Added to scores, `[rows, 1, 1, shared + tokens]`. */
  readonly mask: tf.Tensor4D;
}

export interface BegunAttentionOptions {
  /** Of the norms. */
  readonly epsilon: number;
  /** Dimensions of a head that positions turn. */
  readonly rotated: number;
  /** Of scores. */
  readonly scale: number;
}

/** Whether {@link begunAttention} can be called; its parts one by one do the same. */
export function hasBegunAttention(): boolean {
  return hasOwnKernel(OPERATION);
}

/**
 * Norms queries and keys, turns them to their positions, and attends to each row's beginning and to the row itself. No
 * scores are written: its time is that of the products. No gradient.
 * @returns `[rows, tokens, heads * headDim]`
 */
export function begunAttention(
  { q, k, v, norms, tables, begun, owner, mask }: BegunAttentionInputs,
  { epsilon, rotated, scale }: BegunAttentionOptions,
): tf.Tensor3D {
  const attributes = [float('epsilon', epsilon), float('scale', scale), int('groups', rotated)];
  const weights = [norms.q.weight, norms.q.bias, norms.k.weight, norms.k.bias];
  const inputs = [q, k, v, ...weights, tables.cos, tables.sin, begun.keys, begun.values, owner, mask];
  return kernel(OPERATION, attributes, inputs) as tf.Tensor3D;
}
