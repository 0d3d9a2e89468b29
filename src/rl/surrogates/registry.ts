import type * as tf from '@tensorflow/tfjs';
import { Registry } from '../registry';

export interface SurrogateOptions {
  /** `clip`: the ratio's lower bound is 1 - epsLow. Default 0.2. */
  epsilon?: number;
  /** `clip`: the ratio's upper bound is 1 + epsHigh. Default 0.2; DAPO's clip-higher is 0.28. */
  epsilonHigh?: number;
  /** `clip`: bound of the unclipped ratio as well (two-sided clipping, INTELLECT-2); above 1 + epsHigh. Default none. */
  delta?: number;
  /** `cispo`: upper bound of the weight itself, not 1 + eps. Default 1.2. */
  epsMax?: number;
}

/**
 * The objective's part that is to be minimized, before KL.
 * @param ratio `[samples, tokens]` or `[samples, 1]`
 * @param advantages `[samples, 1]`
 * @param logProbs of the current policy `[samples, tokens]`
 * @returns `[samples, tokens]`, or `[samples, 1]` for a ratio of that shape
 */
export type Surrogate = (
  ratio: tf.Tensor2D,
  advantages: tf.Tensor2D,
  logProbs: tf.Tensor2D,
  options: SurrogateOptions,
) => tf.Tensor2D;

export const surrogates = new Registry<Surrogate>('surrogate');
