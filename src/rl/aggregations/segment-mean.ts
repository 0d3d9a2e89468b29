import * as tf from '@tensorflow/tfjs';
import { aggregations } from './registry';

/**
 * `segment_mean`: the mean of each segment's tokens, summed over a sequence's segments, then the mean of sequences.
 * So a segment's weight means the same whatever its length: tens of text tokens beside thousands of image terms.
 */
export const segmentMean = aggregations.register('segment_mean', (values, { segments, sequences }) => {
  const means = segments.map((mask) => tf.div(tf.sum(tf.mul(values, mask), 1), tf.maximum(tf.sum(mask, 1), 1)));
  return tf.div(tf.sum(tf.addN(means)), sequences);
});
