import * as tf from '@tensorflow/tfjs';
import { ratios } from './registry';

/** `sequence_sum`: the ratio of whole sequences' probabilities (RLOO). */
export const sequenceSum = ratios.register('sequence_sum', (difference) => tf.sum<tf.Tensor2D>(difference, 1, true));
