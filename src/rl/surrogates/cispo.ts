import * as tf from '@tensorflow/tfjs';
import { stopGradient } from '../stop-gradient';
import { surrogates } from './registry';

/** `cispo`: -stop_gradient(min(ratio, epsMax)) A log p: every token keeps its gradient (MiniMax-M1, Eq. 4). */
export const cispo = surrogates.register('cispo', (ratio, advantages, logProbs, { epsMax = 1.2 }) => {
  if (!(epsMax > 0)) throw new RangeError(`epsMax must be positive, got ${epsMax}`);
  const weight = stopGradient(tf.minimum<tf.Tensor2D>(ratio, epsMax));
  return tf.neg(tf.mul<tf.Tensor2D>(tf.mul(weight, advantages), logProbs));
});
