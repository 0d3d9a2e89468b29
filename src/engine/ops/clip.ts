/** Clipping by the global norm (Pascanu et al. 2013). */
import * as tf from '@tensorflow/tfjs';
import { kernel, onTensorflow, type } from './kernel';

/** The square root of the sum of all squares. @returns a scalar; 0 for no tensors */
export function globalNorm(grads: Record<string, tf.Tensor>): tf.Scalar {
  return tf.tidy(() => {
    const list = Object.values(grads);
    if (list.length === 0) return tf.scalar(0);
    // L2Loss is half the sum of squares in one pass.
    const squares = list.map((g) =>
      onTensorflow() ? tf.mul(kernel('L2Loss', [type('T')], [g]), 2) : tf.sum(tf.square(g)),
    );
    return tf.sqrt(tf.addN(squares)) as tf.Scalar;
  });
}

/**
 * Scales all gradients by `min(1, maxNorm / (norm + 1e-6))`, as PyTorch's `clip_grad_norm_`.
 * @param grads by name; neither changed nor disposed
 * @param maxNorm above 0
 * @returns `norm`: a scalar tensor, the norm before clipping; `grads`: new tensors under the same names. Both are the
 *   caller's to dispose.
 */
export function clipByGlobalNorm(
  grads: Record<string, tf.Tensor>,
  maxNorm: number,
): { norm: tf.Scalar; grads: Record<string, tf.Tensor> } {
  if (!(maxNorm > 0)) throw new RangeError(`clipByGlobalNorm: maxNorm must be above 0, got ${maxNorm}`);
  const norm = globalNorm(grads);
  const clipped = tf.tidy(() => {
    const scale = tf.minimum(1, tf.div(maxNorm, tf.add(norm, 1e-6)));
    return Object.fromEntries(Object.entries(grads).map(([name, g]) => [name, tf.mul(g, scale)]));
  });
  return { norm, grads: clipped };
}
