/** Gradient checkpointing (Chen et al. 2016): keep a block's inputs, compute its inside again for the gradient. */
import * as tf from '@tensorflow/tfjs';
import { recomputedAfter } from '../functions';
import { withGradient } from './custom';

/** What a checkpointed block reads. */
export interface CheckpointedInputs {
  /** Given to the block first, in order. They get gradients. */
  readonly inputs: readonly tf.Tensor[];
  /** Given to the block after the inputs. They get no gradient: masks, tables. Default: none. */
  readonly constants?: readonly tf.Tensor[];
  /**
   * What the block reads by itself and what gets gradients: weights. They must neither be disposed nor change before
   * the gradient is taken. Default: none.
   */
  readonly weights?: readonly tf.Tensor[];
}

/**
 * Runs a block so that only its inputs and constants are kept for the gradient.
 * @param block a deterministic function of its tensors and of the weights; everything else that needs a gradient gets
 *   none
 * @returns the block's value, with less memory kept and one more forward pass in the gradient
 */
export function checkpointed(
  { inputs, constants = [], weights = [] }: CheckpointedInputs,
  block: (...tensors: tf.Tensor[]) => tf.Tensor,
): tf.Tensor {
  return withGradient([...inputs, ...weights], (save) => {
    save([...inputs, ...constants]);
    return {
      value: tf.tidy(() => block(...inputs, ...constants)),
      gradient: (dy, saved) => {
        const engine = tf.engine();
        // tf.js forgets the outer tape when an inner gradient ends.
        const { state } = engine;
        const tape = state.activeTape;
        try {
          return tf.tidy(() => {
            const wanted = [...saved.slice(0, inputs.length), ...weights];
            const { grads } = engine.gradients(() => recomputedAfter(dy, () => block(...saved)), wanted, dy, true);
            // A weight that the block does not use (an adapter that is merged) has none.
            return wanted.map((tensor, i) => (grads[i] as tf.Tensor | undefined) ?? tf.zerosLike(tensor));
          });
        } finally {
          state.activeTape = tape;
        }
      },
    };
  });
}

/**
 * Wraps a block so that only its inputs are kept for the gradient. Everything that needs a gradient, parameters
 * included, must be an explicit input.
 * @param fn a deterministic function of its tensors
 * @returns the same function, with less memory kept and one more forward pass in the gradient
 */
export function checkpoint(fn: (...tensors: tf.Tensor[]) => tf.Tensor): (...tensors: tf.Tensor[]) => tf.Tensor {
  return (...tensors) => checkpointed({ inputs: tensors }, fn);
}
