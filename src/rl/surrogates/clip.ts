import * as tf from '@tensorflow/tfjs';
import { surrogates } from './registry';

/** `clip`: -min(ratio A, clip(ratio, 1 - epsLow, 1 + epsHigh) A) (PPO; DAPO with a higher epsHigh). */
export const clip = surrogates.register(
  'clip',
  (ratio, advantages, _logProbs, { epsLow = 0.2, epsHigh = 0.2, delta }) => {
    if (!(epsLow >= 0 && epsLow <= 1 && epsHigh >= 0)) {
      throw new RangeError(`epsLow must be in [0, 1] and epsHigh at least 0, got ${epsLow} and ${epsHigh}`);
    }
    if (delta !== undefined && !(delta > 1 + epsHigh)) {
      throw new RangeError(
        `delta bounds the unclipped ratio and must be above 1 + epsHigh = ${1 + epsHigh}, got ${delta}`,
      );
    }
    const bounded = delta === undefined ? ratio : tf.minimum<tf.Tensor2D>(ratio, delta);
    const clipped = tf.clipByValue(ratio, 1 - epsLow, 1 + epsHigh);
    return tf.neg(tf.minimum<tf.Tensor2D>(tf.mul(bounded, advantages), tf.mul(clipped, advantages)));
  },
);
