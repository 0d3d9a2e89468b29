/**
 * The policy loss of GRPO and its relatives. Each choice is a function in a table: the level of the ratio, the surrogate,
 * the KL estimate, the aggregation. Everything of the field is one sum,
 *
 *   loss = sum over tokens of weight (surrogate(ratio, A) + beta KL),
 *
 * whose weights the aggregation fixes before a batch is cut into chunks, so that chunks change memory alone.
 */
import { tf } from '../engine';

/** The same numbers, as a constant: no gradient passes. */
export function constant<T extends tf.Tensor>(x: T): T {
  const held = tf.customGrad((input) => {
    const t = input as tf.Tensor;
    return { value: t.clone(), gradFunc: () => tf.zerosLike(t) };
  });
  return held(x) as T;
}

/** Sums over whole segments, of which a row may hold a part: `[rows, 1]` each. */
export interface SequenceSums {
  readonly difference: tf.Tensor2D;
  /** Scored tokens. */
  readonly length: tf.Tensor2D;
}

/** @param parts where rows are parts of sequences; otherwise each row is one, and gets one ratio `[rows, 1]` */
type LogRatio = (difference: tf.Tensor2D, length: tf.Tensor2D, parts?: SequenceSums) => tf.Tensor2D;

/** The value of `whole` for every token, with the gradient `slope` x that of the token's own difference. */
const spread = (whole: tf.Tensor2D, slope: tf.Tensor2D | number, difference: tf.Tensor2D): tf.Tensor2D =>
  tf.add(constant(whole), tf.mul(tf.sub(difference, constant(difference)), slope));

const meanOver = (sum: tf.Tensor2D, length: tf.Tensor2D): tf.Tensor2D => tf.div(sum, tf.maximum(length, 1));

/**
 * log(new / old), from `new - old` `[rows, tokens]`. A sequence is a segment: a text or an image. Tokens of a segment
 * weigh the same in every aggregation, so its gradient is the sum of what its tokens get, row by row (GSPO-token).
 */
export const importanceSamplingLevels = {
  /** PPO, GRPO. */
  token: (difference) => difference,
  /** The mean over the sequence (GSPO, Eq. 7). */
  sequence: (difference, length, parts) =>
    parts
      ? spread(meanOver(parts.difference, parts.length), 1, difference)
      : meanOver(tf.sum(difference, 1, true), length),
  /** The sum over the sequence: the ratio of whole sequences' probabilities (RLOO). */
  'sequence-sum': (difference, _length, parts) =>
    parts ? spread(parts.difference, parts.length, difference) : tf.sum(difference, 1, true),
} satisfies Record<string, LogRatio>;

export interface SurrogateBounds {
  readonly epsilon: number;
  readonly epsilonHigh: number;
  readonly delta: number | null;
}

type Surrogate = (ratio: tf.Tensor2D, A: tf.Tensor2D, logProbs: tf.Tensor2D, bounds: SurrogateBounds) => tf.Tensor2D;

const minimum = (a: tf.Tensor2D, b: tf.Tensor2D | number): tf.Tensor2D => tf.minimum<tf.Tensor2D>(a, b);

/** What is minimized of a token, before the KL. `A` is `[rows, 1]`. */
export const surrogates = {
  /** -min(min(ratio, delta) A, clip(ratio, 1 - epsilon, 1 + epsilonHigh) A) (PPO; DAPO; two-sided: INTELLECT-2). */
  clip: (ratio, A, _logProbs, { epsilon, epsilonHigh, delta }) => {
    const clipped = tf.clipByValue(ratio, 1 - epsilon, 1 + epsilonHigh);
    const bounded = delta === null ? ratio : minimum(ratio, delta);
    return tf.neg(minimum(tf.mul(bounded, A), tf.mul<tf.Tensor2D>(clipped, A)));
  },
  /** -stop_gradient(min(ratio, epsilonHigh)) A log p: every token keeps its gradient (MiniMax-M1, Eq. 4). */
  cispo: (ratio, A, logProbs, { epsilonHigh }) =>
    tf.neg(tf.mul<tf.Tensor2D>(tf.mul(constant(minimum(ratio, epsilonHigh)), A), logProbs)),
  /** -ratio A (CoRL, Eq. 2 and 6). */
  none: (ratio, A) => tf.neg(tf.mul<tf.Tensor2D>(ratio, A)),
} satisfies Record<string, Surrogate>;

/**
 * A token's estimate of KL(policy || reference) from d = log policy - log reference, at samples of the policy
 * (Schulman, "Approximating KL divergence"). The gradient is the plain derivative of the number.
 */
export const klEstimates = {
  /** Unbiased; may be negative. */
  k1: (d) => d,
  /** Biased, never negative; its gradient is unbiased. */
  k2: (d) => tf.div(tf.square(d), 2),
  /** Unbiased and never negative. */
  k3: (d) => tf.sub<tf.Tensor2D>(tf.add(tf.exp(tf.neg(d)), d), 1),
} satisfies Record<string, (d: tf.Tensor2D) => tf.Tensor2D>;

/** Scored tokens of what an aggregation may divide by. */
export interface TokenCounts {
  /** Of the token's segment: a text or an image. */
  readonly segment: number;
  readonly trajectory: number;
  /** Trajectories of the minibatch, and their tokens. */
  readonly trajectories: number;
  readonly minibatch: number;
  /** Tokens of the whole rollout, over its number of minibatches. */
  readonly share: number;
  /** Longest completion that may be sampled. */
  readonly maxLength: number;
}

const sequenceMean = ({ trajectory, trajectories }: TokenCounts): number => 1 / trajectory / trajectories;
const sumOverMaxLength = ({ trajectories, maxLength }: TokenCounts): number => 1 / trajectories / maxLength;
const rolloutMean = ({ share }: TokenCounts): number => 1 / share;
const minibatchMean = ({ minibatch }: TokenCounts): number => 1 / minibatch;

/** The weight of one scored token in the loss, under verl's and TRL's names. */
export const aggregations = {
  /** Each segment by its own length: tens of words are not drowned by thousands of image terms. */
  'segment-mean': ({ segment, trajectories }) => 1 / segment / trajectories,
  'seq-mean-token-mean': sequenceMean,
  /** Dr.GRPO and Sync-GRPO as printed. */
  'seq-mean-token-sum': ({ trajectories }) => 1 / trajectories,
  /** Dr.GRPO's own code: a sum over a constant. */
  'seq-mean-token-sum-norm': sumOverMaxLength,
  /** All tokens of the rollout weigh the same. */
  'token-mean': rolloutMean,
  'minibatch-token-mean': minibatchMean,
  grpo: sequenceMean,
  dr_grpo: sumOverMaxLength,
  dapo: rolloutMean,
  bnpo: minibatchMean,
} satisfies Record<string, (counts: TokenCounts) => number>;

export interface PolicyBatch {
  /** Of the policy that learns, at the sampled tokens: `[rows, tokens]`. The gradient flows through these alone. */
  readonly logProbs: tf.Tensor2D;
  /** Of the policy that sampled. Default: `logProbs` held constant, so that the ratio is 1. */
  readonly oldLogProbs?: tf.Tensor2D;
  /** Of the reference; needed when `beta` is above 0. */
  readonly refLogProbs?: tf.Tensor2D;
  /** 1 at sampled tokens, 0 at forced ones and padding: `[rows, tokens]`. What stands at 0 never matters, not even NaN. */
  readonly mask: tf.Tensor2D;
  /** `[rows, 1]` */
  readonly advantages: tf.Tensor2D;
  /** Weight of each token in the loss `[rows, tokens]`, by an aggregation. */
  readonly weights: tf.Tensor2D;
  /** Further factor of the surrogate alone `[rows, tokens]`: importance of samples, choice by entropy. Default 1. */
  readonly surrogateWeights?: tf.Tensor2D;
  /** Needed where rows are parts of sequences. Default: each row is a sequence. */
  readonly sequence?: SequenceSums;
}

export interface PolicyLossOptions extends SurrogateBounds {
  readonly importanceSamplingLevel: keyof typeof importanceSamplingLevels;
  readonly surrogate: keyof typeof surrogates;
  readonly beta: number;
  readonly kl: keyof typeof klEstimates;
  readonly klClamp: number | null;
  readonly useBiasCorrectionKl: boolean;
}

export interface PolicyLoss {
  readonly loss: tf.Scalar;
  /** Sums over each row's scored tokens, `[rows]`: KL, and how many tokens' gradient a bound cuts. */
  readonly metrics: Readonly<Record<'kl' | 'clippedLow' | 'clippedHigh', tf.Tensor1D>>;
}

/** A log-ratio is held to [-20, 20] before exp, as in verl: none overflows. */
const LOG_RATIO_LIMIT = 20;

/**
 * The loss, to be minimized, and its metrics. Runs inside a tidy or a gradient; reads no numbers.
 * Old and reference log-probs, advantages and weights are held constant, also when they are made of `logProbs`.
 * A NaN or infinite log-prob at a scored token makes the loss NaN, on every engine.
 * @throws RangeError for a KL penalty without a reference, or one times the ratio of a sequence that rows share
 */
export function policyLoss(batch: PolicyBatch, options: PolicyLossOptions): PolicyLoss {
  const mask = constant(tf.cast(batch.mask, 'float32'));
  const logProbs = masked(batch.logProbs, mask);
  const old = constant(masked(batch.oldLogProbs ?? batch.logProbs, mask));
  const advantages = constant(batch.advantages);
  const difference = tf.sub<tf.Tensor2D>(logProbs, old);
  const length = tf.sum<tf.Tensor2D>(mask, 1, true);
  const logRatio = importanceSamplingLevels[options.importanceSamplingLevel](difference, length, batch.sequence);
  const ratio = tf.exp(tf.clipByValue(logRatio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT));
  let terms = surrogates[options.surrogate](ratio, advantages, logProbs, options);
  if (batch.surrogateWeights) terms = tf.mul(terms, constant(batch.surrogateWeights));
  let kl = tf.zerosLike(mask);
  if (options.beta > 0) {
    kl = klPerToken(logProbs, batch.refLogProbs, mask, options);
    if (options.useBiasCorrectionKl && batch.sequence)
      throw new RangeError(
        'useBiasCorrectionKl goes with the ratio of a token, or of texts and images of one transition',
      );
    if (options.useBiasCorrectionKl) kl = tf.mul(kl, ratio);
    terms = tf.add(terms, tf.mul(kl, options.beta));
  }
  const weights = constant(tf.mul<tf.Tensor2D>(batch.weights, mask));
  // Clipping may turn NaN into a bound (wasm does); 0 x NaN is NaN everywhere.
  const unhidden = tf.mul(0, tf.add(tf.sum(constant(logProbs)), tf.sum(old)));
  const loss = tf.add<tf.Scalar>(tf.sum(tf.mul(terms, weights)), unhidden);
  const sumOf = (x: tf.Tensor): tf.Tensor1D => tf.sum<tf.Tensor1D>(tf.mul(constant(x), mask), 1);
  const { low, high } = clipped(ratio, advantages, options);
  return { loss, metrics: { kl: sumOf(kl), clippedLow: sumOf(low), clippedHigh: sumOf(high) } };
}

/** 0 at masked tokens. */
function klPerToken(
  logProbs: tf.Tensor2D,
  reference: tf.Tensor2D | undefined,
  mask: tf.Tensor2D,
  { kl, klClamp }: PolicyLossOptions,
): tf.Tensor2D {
  if (!reference) throw new RangeError('a KL penalty (beta above 0) needs the log-probs of a reference policy');
  const held = constant(masked(reference, mask));
  const d = tf.clipByValue(tf.sub<tf.Tensor2D>(logProbs, held), -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
  const value = klEstimates[kl](d);
  const bounded = klClamp === null ? value : tf.clipByValue(value, -klClamp, klClamp);
  return tf.add(tf.mul(bounded, mask), tf.mul(held, 0));
}

/** Where a bound cuts the gradient: below for a negative advantage, above for a positive one. TRL's meaning. */
function clipped(
  ratio: tf.Tensor2D,
  advantages: tf.Tensor2D,
  { surrogate, epsilon, epsilonHigh }: PolicyLossOptions,
): { low: tf.Tensor; high: tf.Tensor } {
  const none = tf.zerosLike(ratio);
  if (surrogate === 'none') return { low: none, high: none };
  const above = tf.logicalAnd(
    tf.greater(ratio, surrogate === 'cispo' ? epsilonHigh : 1 + epsilonHigh),
    tf.greater(advantages, 0),
  );
  const high = tf.cast(above, 'float32');
  if (surrogate === 'cispo') return { low: none, high };
  return { low: tf.cast(tf.logicalAnd(tf.less(ratio, 1 - epsilon), tf.less(advantages, 0)), 'float32'), high };
}

/** 0 where masked: what stands there may be anything, and 0 times NaN is NaN. */
function masked(x: tf.Tensor2D, mask: tf.Tensor2D): tf.Tensor2D {
  return tf.where(tf.cast(mask, 'bool'), x, tf.zerosLike(x));
}

/** Gradients of minibatches that have not made an update yet. */
export class PendingGradients {
  private sums: Record<string, tf.Tensor> = {};
  /** Minibatches added. */
  steps = 0;
  /** Their metrics, and whether one of them has an advantage that is not 0. */
  readonly metrics: Record<string, number>[] = [];
  loss = 0;
  teaches = false;

  get gradients(): Readonly<Record<string, tf.Tensor>> {
    return this.sums;
  }

  /** Takes the tensors over. */
  add(gradients: Readonly<Record<string, tf.Tensor>>): void {
    for (const [name, gradient] of Object.entries(gradients)) {
      const before = this.sums[name] as tf.Tensor | undefined;
      this.sums[name] = before ? tf.add(before, gradient) : gradient;
      if (before) tf.dispose([before, gradient]);
    }
  }

  /** Forgets everything; the object can be used again. */
  dispose(): void {
    tf.dispose(this.sums);
    [this.sums, this.steps, this.loss, this.teaches] = [{}, 0, 0, false];
    this.metrics.length = 0;
  }
}
