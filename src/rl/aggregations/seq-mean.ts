import * as tf from '@tensorflow/tfjs';
import { aggregations } from './registry';

/** `seq_mean`: the mean of each sequence's tokens, then the mean of sequences (GRPO as printed). */
export const seqMean = aggregations.register('seq_mean', (values, { mask, sequences }) => {
  const lengths = tf.maximum(tf.sum(mask, 1), 1);
  return tf.div(tf.sum(tf.div(tf.sum(values, 1), lengths)), sequences);
});
