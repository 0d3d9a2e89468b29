/** Vectors scaled to length 1. */
import { tf } from '../../../engine';

/** Every vector of the last axis divided by its length; zeros stay zeros. Lengths below 1e-12 count as that. */
export function unitVectors<T extends tf.Tensor>(x: tf.Tensor): T {
  return tf.tidy(() => tf.div<T>(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), -1, true), 1e-24))));
}
