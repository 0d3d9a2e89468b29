import type * as tf from '@tensorflow/tfjs';
import { Registry } from '../registry';

/**
 * The log of the probability ratio between the new and the old policy.
 * @param difference new minus old log-probs `[samples, tokens]`, 0 where masked
 * @param lengths active tokens `[samples, 1]`
 * @returns `[samples, tokens]`, or `[samples, 1]` for one ratio a sequence
 */
export type LogRatio = (difference: tf.Tensor2D, lengths: tf.Tensor2D) => tf.Tensor2D;

export const ratios = new Registry<LogRatio>('ratio');
