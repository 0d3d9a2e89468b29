/**
 * The policy update: advantages in, one optimizer step out. Pieces are replayed in chunks and their gradients added
 * up, so memory does not grow with the group; weights per token are fixed beforehand, so chunking changes nothing.
 */
import * as tf from '@tensorflow/tfjs';
import { type AdamW, clipByGlobalNorm } from '../engine';
import { type KlOptions, klEstimates } from './kl';
import type { Piece, Policy, SegmentName, Trajectory } from './policy';
import { scoredTokens } from './policy';
import { type SurrogateOptions, surrogates } from './surrogates';

export interface UpdateOptions extends SurrogateOptions, KlOptions {
  /** Weight of each segment's terms (UniCTask-GRPO, Eq. 7-8): understanding 0.4, generation 0.6. */
  readonly alpha: Readonly<Record<SegmentName, number>>;
  /** `sum` as printed in Appendix H, or `segment_mean`: each segment divided by its own length before alpha. */
  readonly aggregation: 'sum' | 'segment_mean';
  /** `clip` (default), `cispo` or `none`. */
  readonly surrogate?: string;
  /** Weight of the KL penalty. 0.01 in the paper. */
  readonly beta: number;
  /** `k3` (default), `k2` or `k1`. */
  readonly kl?: string;
  readonly learningRate: number;
  /** Default 1. */
  readonly maxGradNorm?: number;
  /** Rows of a forward pass. Default 24; 6 on the wasm engine, whose memory ends at 4 GiB. Changes memory and speed alone. */
  readonly chunk?: number;
}

/** One of {@link updatePolicy}'s measurements; names are TRL's where TRL has one. */
export interface UpdateMetrics {
  readonly loss: number;
  /** Mean over scored tokens against the reference, by the chosen estimate. */
  readonly kl: number;
  /** Mean of -log p over scored tokens as sampled: an unbiased estimate of the entropy. */
  readonly entropy: number;
  /** Share of scored tokens whose ratio was clipped. */
  readonly 'clip_ratio/region_mean': number;
  /** Mean and largest |replayed - sampled log-prob| before the step: the numerical mismatch. */
  readonly 'sampling/logprob_difference': number;
  readonly 'sampling/logprob_difference_max': number;
  readonly grad_norm: number;
}

interface WeightedPiece {
  readonly piece: Piece;
  readonly advantage: number;
  /** Weight of each scored token in the loss. */
  readonly weight: number;
}

/**
 * One step on a group of trajectories.
 * @param advantages one a trajectory; those that are 0 still count for the KL
 * @throws Error when the loss is not finite; nothing is changed then
 */
export function updatePolicy(
  policy: Policy,
  trajectories: readonly Trajectory[],
  advantages: readonly number[],
  optimizer: AdamW,
  options: UpdateOptions,
): UpdateMetrics {
  const variables = policy.variables();
  const names = Object.keys(variables);
  const sums = { loss: 0, kl: 0, entropy: 0, clipped: 0, tokens: 0, difference: 0, worst: 0 };
  let total: Record<string, tf.Tensor> | undefined;
  for (const chunk of chunks(
    weigh(trajectories, advantages, options),
    options.chunk ?? (tf.getBackend() === 'wasm' ? 6 : 24),
  )) {
    const reference = options.beta > 0 ? policy.replay(chunk.map((w) => w.piece), 'reference') : undefined; // prettier-ignore
    const batch = chunkTensors(chunk);
    const { value, grads } = tf.variableGrads(
      () => chunkLoss(policy, chunk, batch, reference, options, sums),
      Object.values(variables),
    );
    sums.loss += value.dataSync()[0];
    const reached = names.filter((name) => grads[variables[name].name]); // a chunk of one segment need not reach all
    total = addInto(total, Object.fromEntries(reached.map((name) => [name, grads[variables[name].name]])));
    tf.dispose([value, reference, batch] as tf.TensorContainer);
  }
  if (!total || !Number.isFinite(sums.loss)) {
    tf.dispose(total);
    throw new Error(`the policy loss is ${sums.loss}: the step was not taken`);
  }
  const clipped = clipByGlobalNorm(total, options.maxGradNorm ?? 1);
  optimizer.apply(variables, clipped.grads, options.learningRate);
  const gradNorm = clipped.norm.dataSync()[0];
  tf.dispose([total, clipped.grads, clipped.norm] as tf.TensorContainer);
  const tokens = Math.max(1, sums.tokens);
  return {
    loss: sums.loss,
    kl: sums.kl / tokens,
    entropy: sums.entropy / tokens,
    'clip_ratio/region_mean': sums.clipped / tokens,
    'sampling/logprob_difference': sums.difference / tokens,
    'sampling/logprob_difference_max': sums.worst,
    grad_norm: gradNorm,
  };
}

function weigh(
  trajectories: readonly Trajectory[],
  advantages: readonly number[],
  { alpha, aggregation }: UpdateOptions,
): WeightedPiece[] {
  return trajectories.flatMap((trajectory, i) =>
    trajectory.pieces.map((piece) => {
      const length = aggregation === 'sum' ? 1 : Math.max(1, scoredTokens(trajectory, piece.segment));
      return { piece, advantage: advantages[i], weight: alpha[piece.segment] / length / trajectories.length };
    }),
  );
}

/** Chunks of one segment each, at most `size` pieces. */
function* chunks(pieces: readonly WeightedPiece[], size: number): Generator<WeightedPiece[]> {
  for (const segment of ['understanding', 'generation'] as const) {
    const own = pieces.filter((w) => w.piece.segment === segment);
    for (let i = 0; i < own.length; i += size) yield own.slice(i, i + size);
  }
}

interface ChunkTensors {
  readonly old: tf.Tensor2D;
  readonly mask: tf.Tensor2D;
  readonly weights: tf.Tensor2D;
  readonly advantages: tf.Tensor2D;
}

function chunkTensors(chunk: readonly WeightedPiece[]): ChunkTensors {
  const longest = Math.max(...chunk.map((w) => w.piece.ids.length));
  const rows = (at: (w: WeightedPiece, i: number) => number) =>
    tf.tensor2d(chunk.flatMap((w) => Array.from({ length: longest }, (_, i) => (i < w.piece.ids.length ? at(w, i) : 0))), [chunk.length, longest]); // prettier-ignore
  return {
    old: rows((w, i) => w.piece.logProbs[i]),
    mask: rows((w, i) => w.piece.mask[i]),
    weights: rows((w, i) => w.piece.mask[i] * w.weight),
    advantages: tf.tensor2d(chunk.map((w) => w.advantage), [chunk.length, 1]), // prettier-ignore
  };
}

function chunkLoss(
  policy: Policy,
  chunk: readonly WeightedPiece[],
  batch: ChunkTensors,
  reference: tf.Tensor2D | undefined,
  options: UpdateOptions,
  sums: Record<'kl' | 'entropy' | 'clipped' | 'tokens' | 'difference' | 'worst', number>,
): tf.Scalar {
  const { mask, old } = batch;
  const logProbs = tf.mul<tf.Tensor2D>(policy.replay(chunk.map((w) => w.piece), 'policy'), mask); // prettier-ignore
  const difference = tf.sub<tf.Tensor2D>(logProbs, tf.mul(old, mask));
  // One update a rollout: the ratio is 1 up to rounding, and its gradient is that of the log-prob.
  const ratio = tf.exp<tf.Tensor2D>(tf.clipByValue(difference, -10, 10));
  let values = surrogates.get(options.surrogate ?? 'clip')(ratio, batch.advantages, logProbs, options);
  if (reference) {
    const kl = klEstimates.get(options.kl ?? 'k3')(tf.sub<tf.Tensor2D>(logProbs, tf.mul(reference, mask)), options);
    sums.kl += scalar(tf.sum(tf.mul(kl, mask)));
    values = tf.add(values, tf.mul(kl, options.beta));
  }
  const apart = tf.mul(tf.abs(difference), mask);
  sums.difference += scalar(tf.sum(apart));
  sums.worst = Math.max(sums.worst, scalar(tf.max(apart)));
  sums.entropy -= scalar(tf.sum(tf.mul(old, mask)));
  sums.tokens += scalar(tf.sum(mask));
  const { epsilon = 0.2, epsilonHigh = 0.2 } = options;
  sums.clipped += scalar(
    tf.sum(
      tf.mul(tf.cast(tf.logicalOr(tf.less(ratio, 1 - epsilon), tf.greater(ratio, 1 + epsilonHigh)), 'float32'), mask),
    ),
  );
  return tf.sum<tf.Scalar>(tf.mul(values, batch.weights));
}

function scalar(x: tf.Tensor): number {
  return x.dataSync()[0];
}

function addInto(
  total: Record<string, tf.Tensor> | undefined,
  grads: Record<string, tf.Tensor>,
): Record<string, tf.Tensor> {
  const sum: Record<string, tf.Tensor> = { ...total };
  for (const [name, grad] of Object.entries(grads)) {
    const before = total?.[name];
    if (!before) {
      sum[name] = grad;
      continue;
    }
    sum[name] = tf.add(before, grad);
    tf.dispose([before, grad]);
  }
  return sum;
}
