import * as tf from '@tensorflow/tfjs';
import { aggregations } from './registry';

/** `seq_sum`: the sum of each sequence's tokens, then the mean of sequences (Dr.GRPO and UniCTask-GRPO as printed). */
export const seqSum = aggregations.register('seq_sum', (values, { sequences }) => tf.div(tf.sum(values), sequences));
