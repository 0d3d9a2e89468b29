/** `tf.customGrad` with types: an operation that says its own gradient. */
import * as tf from '@tensorflow/tfjs';

/** What an operation gives back: its value, and the gradient of each input from the value's gradient. */
export interface WithGradient {
  readonly value: tf.Tensor;
  /** @returns one tensor for each input, in order */
  readonly gradient: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
}

/**
 * Runs `forward` on the inputs as one operation for the gradient tape.
 * @param inputs what gradients are wanted for
 * @param forward computes the value, and saves (`save`) the tensors that its gradient will need
 */
export function withGradient(
  inputs: readonly tf.Tensor[],
  forward: (save: (tensors: tf.Tensor[]) => void) => WithGradient,
): tf.Tensor {
  const run = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const save = args[args.length - 1] as tf.GradSaveFunc;
    const { value, gradient } = forward(save);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => gradient(dy, saved) };
  });
  return run(...inputs);
}
