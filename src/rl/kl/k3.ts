import * as tf from '@tensorflow/tfjs';
import { klEstimates } from './registry';

/**
 * `k3`: exp(-d) + d - 1. Unbiased and never negative. The exponent is held to [-20, 20] and the value to `klLimit`, as in
 * verl: one token that the policy has all but dropped would otherwise outweigh the batch.
 */
export const k3 = klEstimates.register('k3', (d, { klClamp = 10 }) => {
  const held = tf.clipByValue(d, -20, 20);
  const value = tf.sub<tf.Tensor2D>(tf.add(tf.exp(tf.neg(held)), held), 1);
  return klClamp === Infinity ? value : tf.clipByValue(value, -klClamp, klClamp);
});
