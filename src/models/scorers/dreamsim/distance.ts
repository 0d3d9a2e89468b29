/** DreamSim's distance (Fu et al. 2023, Sec. 4): 1 - cosine of two images' features. */
import { tf } from '../../../engine';

/**
 * Each vector without its own mean and of length 1. This changes the distance: of centered vectors 1 - cosine is
 * 1 - Pearson's correlation.
 * @param features any shape; vectors along the last axis
 */
export function centered<X extends tf.Tensor>(features: X): X {
  return tf.tidy(() => {
    const rest = tf.sub(features, tf.mean(features, -1, true));
    return tf.div<X>(rest, tf.norm(rest, 'euclidean', -1, true));
  });
}

/**
 * What is compared by cosine: a feature itself, or of tokens the class token and behind it the patches' mean.
 * @param features `[batch, size]`, or `[batch, 1 + patches, width]`
 * @param normalize center every vector first, see {@link centered}
 * @returns `[batch, size]` or `[batch, 2 width]`; the caller disposes it
 */
export function comparedVectors(features: tf.Tensor2D | tf.Tensor3D, normalize: boolean): tf.Tensor2D {
  return tf.tidy(() => {
    const own = normalize ? centered(features) : tf.clone(features);
    if (own.rank === 2) return own as tf.Tensor2D;
    const [first, patches] = tf.split<tf.Tensor3D>(own, [1, own.shape[1] - 1], 1);
    return tf.concat([tf.squeeze<tf.Tensor2D>(first, [1]), tf.mean<tf.Tensor2D>(patches, 1)], 1);
  });
}

/** 1 - cosine, row by row. @param a `[pairs, size]` @param b the same shape @returns `[pairs]`, in [0, 2] */
export function cosineDistances(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() => {
    const lengths = tf.mul(tf.norm(a, 'euclidean', 1), tf.norm(b, 'euclidean', 1));
    return tf.sub<tf.Tensor1D>(1, tf.div(tf.sum(tf.mul(a, b), 1), tf.maximum(lengths, 1e-8)));
  });
}
