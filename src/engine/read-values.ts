/** Reading numbers out of a computation. */
import * as tf from '@tensorflow/tfjs';

/**
 * Runs `compute` in a tidy and gives back its values. Never `tf.tidy(() => x.dataSync())`: a tidy searches whatever it
 * returns for tensors, an array of numbers value by value, which costs more than computing them.
 * @returns the values in row-major order; a copy of its own
 */
export function readValues<D extends 'float32' | 'int32' = 'float32'>(compute: () => tf.Tensor): tf.DataTypeMap[D] {
  const tensor = tf.tidy(compute);
  try {
    return tensor.dataSync<D>();
  } finally {
    tensor.dispose();
  }
}
