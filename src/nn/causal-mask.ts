/** What attention adds to its scores: the causal mask of a decoder, and masks of any kind. */
import { tf } from '../engine';

/** Added where attention is not allowed: far below any score, far above float32's lowest. */
export const BLOCKED = -1e9;

/**
 * What is added to attention scores when the last `queries` of `keys` tokens are computed: 0 where a query may see a
 * key, -1e9 where the key is later or padding.
 * @param pads tokens of padding on the left, one count a row; default none
 * @returns `[1 or batch, 1, queries, keys]`, or null when nothing is hidden (one query, no padding)
 */
export function causalMask(queries: number, keys: number, pads: readonly number[] = []): tf.Tensor4D | null {
  const padded = pads.some((count) => count > 0);
  if (queries === 1 && !padded) return null;
  const rows = padded ? pads : [0];
  const out = new Float32Array(rows.length * queries * keys);
  rows.forEach((pad, b) => {
    for (let q = 0; q < queries; q++) {
      const at = (b * queries + q) * keys;
      out.fill(BLOCKED, at, at + pad);
      out.fill(BLOCKED, at + keys - queries + q + 1, at + keys);
    }
  });
  return tf.tensor4d(out, [rows.length, 1, queries, keys]);
}

/** Masks of a batch -> `[batch, 1, tokens, tokens]` to be added to attention scores. */
export function additiveMask(masks: readonly Uint8Array[], length: number): tf.Tensor4D {
  const out = new Float32Array(masks.length * length * length);
  masks.forEach((mask, b) => {
    if (mask.length !== length * length)
      throw new RangeError(`mask ${b} has ${mask.length} entries, expected ${length} x ${length}`);
    for (let i = 0; i < mask.length; i++) if (!mask[i]) out[b * mask.length + i] = BLOCKED;
  });
  return tf.tensor4d(out, [masks.length, 1, length, length]);
}
