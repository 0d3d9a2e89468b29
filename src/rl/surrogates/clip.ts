import * as tf from '@tensorflow/tfjs';
import { surrogates } from './registry';

/** `clip`: -min(ratio A, clip(ratio, 1 - epsLow, 1 + epsHigh) A) (PPO; DAPO with a higher epsHigh). */
export const clip = surrogates.register(
  'clip',
  (ratio, advantages, _logProbs, { epsilon = 0.2, epsilonHigh = 0.2, delta }) => {
    if (!(epsilon >= 0 && epsilon <= 1 && epsilonHigh >= 0)) {
      throw new RangeError(`epsLow must be in [0, 1] and epsHigh at least 0, got ${epsilon} and ${epsilonHigh}`);
    }
    if (delta !== undefined && !(delta > 1 + epsilonHigh)) {
      throw new RangeError(
        `delta bounds the unclipped ratio and must be above 1 + epsHigh = ${1 + epsilonHigh}, got ${delta}`,
      );
    }
    const bounded = delta === undefined ? ratio : tf.minimum<tf.Tensor2D>(ratio, delta);
    const clipped = tf.clipByValue(ratio, 1 - epsilon, 1 + epsilonHigh);
    return tf.neg(tf.minimum<tf.Tensor2D>(tf.mul(bounded, advantages), tf.mul(clipped, advantages)));
  },
);
