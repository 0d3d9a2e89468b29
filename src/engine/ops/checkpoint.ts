/** Gradient checkpointing (Chen et al. 2016): keep a block's inputs, compute its inside again for the gradient. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';

/**
 * Wraps a block so that only its inputs are kept for the gradient. Everything that needs a gradient, parameters
 * included, must be an explicit input.
 * @param fn a deterministic function of its tensors
 * @returns the same function, with less memory kept and one more forward pass in the gradient
 */
export function checkpoint(fn: (...tensors: tf.Tensor[]) => tf.Tensor): (...tensors: tf.Tensor[]) => tf.Tensor {
  return (...tensors) =>
    withGradient(tensors, (save) => {
      save([...tensors]);
      return {
        value: tf.tidy(() => fn(...tensors)),
        gradient: (dy, saved) => {
          // tf.js forgets the outer tape when an inner gradient ends.
          const state = tf.engine().state;
          const tape = state.activeTape;
          try {
            return tf.grads((...again: tf.Tensor[]) => fn(...again))(saved, dy);
          } finally {
            state.activeTape = tape;
          }
        },
      };
    });
}
