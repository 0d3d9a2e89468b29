import * as tf from '@tensorflow/tfjs';
import { ratios } from './registry';

/** `sequence`: exp of the mean log-ratio of a sequence's tokens (GSPO, Eq. 7). */
export const sequence = ratios.register('sequence', (difference, lengths) =>
  tf.div(tf.sum(difference, 1, true), tf.maximum(lengths, 1)),
);
