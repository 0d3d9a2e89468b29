import type * as tf from '@tensorflow/tfjs';
import { Registry } from '../registry';

/**
 * A per-token estimate of KL(policy || reference) from samples of the policy (Schulman, "Approximating KL divergence").
 * The gradient is the plain derivative of the number.
 * @param difference policy minus reference log-probs `[samples, tokens]`
 */
export type KlEstimate = (difference: tf.Tensor2D, options: KlOptions) => tf.Tensor2D;

export interface KlOptions {
  /** `k3`: a token's value is held to [-this, this], default 10. */
  klClamp?: number;
}

export const klEstimates = new Registry<KlEstimate>('KL estimate');
