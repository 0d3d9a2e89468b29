/** The causal mask of a decoder, with a cache before it and padding on the left. */
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
