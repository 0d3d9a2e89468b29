/** CoRL's joint loss over a text and an image, without clipping (CoRL, Eq. 6). */
import * as tf from '@tensorflow/tfjs';
import { groupAdvantages } from './advantages';
import { type PolicyBatch, policyLoss } from './policy-loss';

type Side = Omit<PolicyBatch, 'advantages' | 'segments'>;

export interface CorlBatch {
  /** The answer's tokens (image to text). */
  readonly text: Side;
  /** The image's tokens (text to image). */
  readonly image: Side;
  /** Advantages of both, or of each. */
  readonly advantages: readonly number[] | { readonly text: readonly number[]; readonly image: readonly number[] };
}

export interface CorlLoss {
  readonly loss: tf.Scalar;
  readonly text: tf.Scalar;
  readonly image: tf.Scalar;
}

/**
 * Loss = text term + image term, each the per-sequence mean of -(A ratio) + beta k3. Differentiable; the caller disposes
 * all three, or calls it within `tf.tidy`.
 * @param beta weight of the KL penalty; 0 (default) in the unified stage, 0.02 in the refined one
 * @param klLimit bound of a token's k3
 */
export function corlLoss(batch: CorlBatch, beta = 0, klClamp = 10): CorlLoss {
  const joint = Array.isArray(batch.advantages);
  const own = batch.advantages as { text: readonly number[]; image: readonly number[] };
  const side = (part: Side, advantages: readonly number[]): tf.Scalar =>
    policyLoss({ ...part, advantages }, { surrogate: 'none', aggregation: 'seq_mean', beta, kl: 'k3', klClamp });
  const text = side(batch.text, joint ? (batch.advantages as readonly number[]) : own.text);
  const image = side(batch.image, joint ? (batch.advantages as readonly number[]) : own.image);
  return { loss: tf.add(text, image), text, image };
}

export interface CorlRewards {
  /** R_cycle, R_TIM (text to image), R_acc, R_format (image to text): one list a group. */
  readonly cycle: readonly (readonly number[])[];
  readonly tim: readonly (readonly number[])[];
  readonly acc: readonly (readonly number[])[];
  readonly format: readonly (readonly number[])[];
}

export interface CorlAdvantages {
  readonly joint: number[];
  readonly text: number[];
  readonly image: number[];
}

/**
 * Advantages from R = R_cycle + R_TIM + lambda (R_acc + R_format).
 * @param options.lambda weight of the text side, default 0.8
 * @param options.join `rewards` (default): z-score of the summed reward; `advantages`: A_image + lambda A_text of z-scores
 */
export function corlAdvantages(
  rewards: CorlRewards,
  options: { lambda?: number; join?: 'rewards' | 'advantages'; epsilon?: number } = {},
): CorlAdvantages {
  const { lambda = 0.8, join = 'rewards', epsilon = 1e-4 } = options;
  const add = (a: readonly (readonly number[])[], b: readonly (readonly number[])[], weight = 1): number[][] =>
    a.map((group, g) => group.map((r, i) => r + weight * b[g][i]));
  const zScore = (groups: number[][]): number[] => groupAdvantages('grpo', groups, { epsilon }).advantages;
  const imageReward = add(rewards.cycle, rewards.tim);
  const textReward = add(rewards.acc, rewards.format);
  const image = zScore(imageReward);
  const text = zScore(textReward);
  const joint =
    join === 'rewards' ? zScore(add(imageReward, textReward, lambda)) : image.map((a, i) => a + lambda * text[i]);
  return { joint, text, image };
}
