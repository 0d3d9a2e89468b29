import * as tf from '@tensorflow/tfjs';
import { aggregations } from './registry';

/** `token_mean`: the mean of all tokens of the batch (DAPO; BNPO when the batch is the local one). */
export const tokenMean = aggregations.register('token_mean', (values, { mask, tokens }) =>
  tf.div(tf.sum(values), tf.maximum(tokens ?? tf.sum(mask), 1)),
);
