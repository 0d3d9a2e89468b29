import * as tf from '@tensorflow/tfjs';

/** The same numbers, as a constant: no gradient passes. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  const constant = tf.customGrad((input) => {
    const t = input as tf.Tensor;
    return { value: t.clone(), gradFunc: () => tf.zerosLike(t) };
  });
  return constant(x) as T;
}
