import * as tf from '@tensorflow/tfjs';
import { aggregations } from './registry';

/** `const`: the sum of all tokens over sequences times `maxLength` (Dr.GRPO's own code). */
export const constant = aggregations.register('const', (values, { sequences, maxLength }) => {
  if (!maxLength || !(maxLength > 0))
    throw new RangeError("aggregation 'const' divides by maxLength: give the longest length a completion may have");
  return tf.div(tf.sum(values), sequences * maxLength);
});
