import * as tf from '@tensorflow/tfjs';
import { klEstimates } from './registry';

/** `k2`: d^2 / 2. Biased, never negative; its gradient is unbiased. */
export const k2 = klEstimates.register('k2', (d) => tf.div(tf.square(d), 2));
