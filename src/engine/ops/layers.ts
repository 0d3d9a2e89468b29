/** Linear maps and embeddings. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';

export interface LinearOptions {
  /** True: the weight lies as `[in, out]`. Default false: `[out, in]`, as PyTorch stores it. */
  readonly transposed?: boolean;
}

/**
 * `x W^T + b`. Measured on TensorFlow: `[out, in]` is as fast as `[in, out]`, forward and backward.
 * @param x `[..., in]`
 * @param weight `[out, in]`, or `[in, out]` with `transposed`
 * @param bias `[out]`, or nothing
 * @returns `[..., out]`
 * @throws RangeError when shapes do not fit
 */
export function linear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias?: tf.Tensor | null,
  { transposed = false }: LinearOptions = {},
): tf.Tensor {
  const size = x.shape[x.rank - 1];
  const [rows, columns] = weight.shape as number[];
  const [inputs, outputs] = transposed ? [rows, columns] : [columns, rows];
  if (weight.rank !== 2 || size !== inputs) {
    const layout = transposed ? '[in, out]' : '[out, in]';
    throw new RangeError(`linear: x [${x.shape}] does not fit the weight [${weight.shape}], read as ${layout}`);
  }
  // Composed from operations with gradients of their own, so that a frozen weight costs no gradient.
  return tf.tidy(() => {
    const product = tf.matMul(tf.reshape(x, [-1, size]), weight, false, !transposed);
    return tf.reshape(bias ? tf.add(product, bias) : product, [...x.shape.slice(0, -1), outputs]);
  });
}

/**
 * Rows of a table. The table's gradient is one segment sum.
 * @param table `[vocab, dim]`
 * @param ids `[...]` int32, each in 0 .. vocab - 1
 * @returns `[..., dim]`
 * @throws TypeError for ids that are not int32
 */
export function embedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  if (ids.dtype !== 'int32') throw new TypeError(`embedding: the ids must be int32, not ${ids.dtype}`);
  const [vocab, dim] = table.shape;
  return withGradient([table], (save) => {
    const flat = tf.reshape(ids, [ids.size]);
    save([flat]);
    return {
      value: tf.reshape(tf.gather(table, flat), [...ids.shape, dim]),
      gradient: (dy, [at]) => tf.unsortedSegmentSum(tf.reshape(dy, [at.size, dim]), at as tf.Tensor1D, vocab),
    };
  });
}

/** {@link embedding} in plain tf.js operations, with tf.js's own gradient. */
export function embeddingPlain(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  if (ids.dtype !== 'int32') throw new TypeError(`embedding: the ids must be int32, not ${ids.dtype}`);
  return tf.gather(table, ids);
}
