import * as tf from '@tensorflow/tfjs';
import { aggregations } from './registry';

/** `sequences`: the mean of one number a sequence (RLOO with a ratio of whole sequences). */
export const sequences = aggregations.register('sequences', (values, { sequences: count }) => {
  if (values.shape[1] !== 1) {
    throw new RangeError(
      "aggregation 'sequences' needs one value a sequence: a 'sequence' or 'sequence_sum' ratio, surrogate 'clip' or 'none', no KL and no segment weights",
    );
  }
  return tf.div(tf.sum(values), count);
});
