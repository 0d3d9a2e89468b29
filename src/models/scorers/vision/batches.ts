/** Long lists in short pieces, so that memory does not grow with them. */
import type { tf } from '../../../engine';

/**
 * One vector an item.
 * @param batch how many are embedded at once; a positive integer
 * @param embed gives `[n, size]` for a piece; it is disposed here
 * @throws RangeError for another batch size
 */
export async function embedInBatches<T>(
  items: readonly T[],
  batch: number,
  embed: (part: readonly T[]) => tf.Tensor2D,
): Promise<Float32Array[]> {
  if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`a batch of ${batch} cannot be embedded`);
  const out: Float32Array[] = [];
  for (let at = 0; at < items.length; at += batch) {
    const vectors = embed(items.slice(at, at + batch));
    try {
      const data = await vectors.data<'float32'>();
      const [count, size] = vectors.shape;
      for (let i = 0; i < count; i++) out.push(data.slice(i * size, (i + 1) * size));
    } finally {
      vectors.dispose();
    }
  }
  return out;
}
