/** Reading numbers out of a computation. */
import * as tf from '@tensorflow/tfjs';
import { outsideTrace, runTraced } from './functions';

/**
 * Runs `compute` in a tidy and gives back its values. Never `tf.tidy(() => x.dataSync())`: a tidy searches whatever it
 * returns for tensors, an array of numbers value by value, which costs more than computing them.
 * In a traced function it is computed anew at every call, beside the function's own work. No gradient goes through
 * numbers: one that is taken around it keeps none of its tensors.
 * @returns the values in row-major order; a copy of its own
 * @throws TraceError when it reads what a traced function around it computes
 */
export function readValues<D extends 'float32' | 'int32' = 'float32'>(compute: () => tf.Tensor): tf.DataTypeMap[D] {
  return outsideTrace(() =>
    outsideGradient(() => {
      const tensor = tf.tidy(compute);
      try {
        return tensor.dataSync<D>();
      } finally {
        tensor.dispose();
      }
    }),
  );
}

/** Runs `work` so that a gradient around it keeps nothing of it: tf.js records whatever is computed, needed or not. */
function outsideGradient<R>(work: () => R): R {
  const { state } = tf.engine();
  const { activeTape, gradientDepth } = state;
  state.gradientDepth = 0;
  try {
    return work();
  } finally {
    Object.assign(state, { activeTape, gradientDepth });
  }
}

/**
 * {@link readValues} of a function that is traced: for what is computed again and again, such as a scorer's features.
 * @param owner what the compiled programs live and go with; see `runTraced`
 * @param name for the log
 */
export function tracedValues<D extends 'float32' | 'int32' = 'float32'>(
  owner: object,
  name: string,
  compute: () => tf.Tensor,
): tf.DataTypeMap[D] {
  return readValues<D>(() => runTraced(owner, name, compute));
}
