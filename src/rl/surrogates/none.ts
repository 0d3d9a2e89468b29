import * as tf from '@tensorflow/tfjs';
import { surrogates } from './registry';

/** `none`: -ratio A, without clipping (CoRL, Eq. 2 and 6). */
export const none = surrogates.register('none', (ratio, advantages) => tf.neg(tf.mul<tf.Tensor2D>(ratio, advantages)));
