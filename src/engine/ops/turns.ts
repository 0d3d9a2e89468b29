/** Turning pairs of dimensions by angles: rotary positions. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { hasOwnKernel, kernel } from './kernel';

/** A type, not an interface: a plain record of tensors. */
export type TurnTables = {
  /** `[tokens, dim]`, or `[batch, 1, tokens, dim]` where rows differ; 1 on dimensions that are not turned. */
  readonly cos: tf.Tensor;
  /** Shaped as `cos`; 0 on dimensions that are not turned. */
  readonly sin: tf.Tensor;
  /** `[dim, dim]`: x times this is x with its two turned halves swapped and the first one negated. */
  readonly swap: tf.Tensor2D;
};

/**
 * `x * cos + swapped(x) * sin`. No gradient reaches the tables.
 * @param x `[batch, heads, tokens, dim]`
 * @throws RangeError when the tables do not fit
 */
export function turned(x: tf.Tensor4D, { cos, sin, swap }: TurnTables): tf.Tensor4D {
  const [batch, , tokens, dim] = x.shape;
  const fits = [cos, sin].every(({ shape }) =>
    [
      [tokens, dim],
      [1, 1, tokens, dim],
      [batch, 1, tokens, dim],
    ].some((expected) => tf.util.arraysEqual(shape, expected)),
  );
  if (!fits || swap.shape[0] !== dim)
    throw new RangeError(
      `turned: x [${x.shape}], cosines [${cos.shape}], sines [${sin.shape}] and halves of ${swap.shape[0]} do not fit`,
    );
  if (!hasOwnKernel('UnilabRotary') || x.size === 0) return turnedPlain(x, { cos, sin, swap });
  return withGradient([x], (save) => {
    save([cos, sin, swap]);
    return {
      value: kernel('UnilabRotary', [], [x, cos, sin, swap]),
      gradient: (dy, saved) => kernel('UnilabRotaryGrad', [], [dy, ...saved]),
    };
  }) as tf.Tensor4D;
}

/**
 * {@link turned} in plain tf.js operations. The swap is a matrix product: slicing and concatenating halves costs more
 * passes over memory and needs gradients that some engines lack.
 */
export function turnedPlain(x: tf.Tensor4D, { cos, sin, swap }: TurnTables): tf.Tensor4D {
  const { shape } = x;
  return tf.tidy(() => {
    const swapped = tf.reshape(tf.matMul(tf.reshape<tf.Rank.R2>(x, [-1, shape[3]]), swap), shape);
    return tf.add(tf.mul(x, cos), tf.mul(swapped, sin));
  });
}
