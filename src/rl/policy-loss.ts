/** The policy loss of GRPO and its relatives: ratio, surrogate, KL, segment weights, aggregation, each chosen by name. */
import * as tf from '@tensorflow/tfjs';
import { aggregations } from './aggregations';
import { type KlOptions, klEstimates } from './kl';
import { ratios } from './ratios';
import { stopGradient } from './stop-gradient';
import { type SurrogateOptions, surrogates } from './surrogates';

export interface PolicyBatch {
  /** Of the policy that learns, at the tokens that were sampled: `[samples, tokens]`. The gradient flows through these. */
  readonly logProbs: tf.Tensor2D;
  /** Of the policy that sampled. Default: `logProbs` themselves, held constant (ratio 1: one update a rollout). */
  readonly oldLogProbs?: tf.Tensor2D;
  /** Of the frozen reference; needed when `beta` is not 0. */
  readonly refLogProbs?: tf.Tensor2D;
  /** One number a sample. */
  readonly advantages: readonly number[] | tf.Tensor1D;
  /** 1 at sampled tokens, 0 at forced ones and padding: `[samples, tokens]`. Numbers there (even NaN) do not matter. */
  readonly mask: tf.Tensor2D;
  /** Masks of named parts of the trajectory, such as `understanding` and `generation`: `[samples, tokens]` each. */
  readonly segments?: Readonly<Record<string, tf.Tensor2D>>;
}

export interface PolicyLossOptions extends SurrogateOptions, KlOptions {
  /** `token` (default), `sequence` (GSPO) or `sequence_sum` (RLOO). */
  ratio?: string;
  /** `clip` (default), `cispo` or `none`. */
  surrogate?: string;
  /** `seq_mean` (default), `token_mean`, `seq_sum`, `const`, `segment_mean` or `sequences`. */
  aggregation?: string;
  /** For aggregation `const`. */
  maxLength?: number;
  /** Weight of the KL penalty, default 0. */
  beta?: number;
  /** `k3` (default), `k2` or `k1`. */
  kl?: string;
  /** Weight of each segment's tokens (UniCTask-GRPO, Eq. 7-8: understanding 0.4, generation 0.6). Default: all 1. */
  segmentWeights?: Readonly<Record<string, number>>;
  /** The log of a ratio is held to [-this, this] before exp, so that no ratio overflows. Default 20, as in verl. */
  logRatioLimit?: number;
  /** What means are taken over when this is a part of a batch: samples and active tokens of the whole. Default: of this part. */
  batch?: { readonly sequences: number; readonly tokens: number };
}

/**
 * The loss, to be minimized; differentiable in `logProbs`.
 *
 * Per token: surrogate(ratio, A) + beta KL, times its segment's weight; then aggregated.
 * @throws RangeError for shapes that differ, unknown names, a missing reference, segment or weight
 */
export function policyLoss(batch: PolicyBatch, options: PolicyLossOptions = {}): tf.Scalar {
  checkShapes(batch);
  return tf.tidy(() => {
    const mask = tf.cast(batch.mask, 'float32');
    const logProbs = masked(batch.logProbs, mask);
    const column = advantageColumn(batch.advantages);
    const ratio = tf.exp(logRatio(batch, options));
    const surrogate = surrogates.get(options.surrogate ?? 'clip');
    let values = surrogate(ratio, column, logProbs, options);
    const { beta = 0 } = options;
    if (beta !== 0) values = tf.add(values, tf.mul(klPerToken(batch, options), beta));
    const segments = segmentMasks(batch);
    const weights = options.segmentWeights && segmentWeights(segments, options.segmentWeights);
    const aggregation = options.aggregation ?? 'seq_mean';
    if (weights) values = tf.mul(values, weights);
    if (aggregation !== 'sequences') values = tf.mul(values, mask);
    return aggregations.get(aggregation)(values, {
      mask,
      segments: segments ? Object.values(segments) : [mask],
      sequences: options.batch?.sequences ?? batch.logProbs.shape[0],
      tokens: options.batch?.tokens,
      maxLength: options.maxLength,
    });
  });
}

/** The (held) log-ratio: `[samples, tokens]`, or `[samples, 1]` for one a sequence; 0 at masked tokens. */
export function logRatio(
  batch: PolicyBatch,
  options: Pick<PolicyLossOptions, 'ratio' | 'logRatioLimit'> = {},
): tf.Tensor2D {
  const { logRatioLimit: limit = 20 } = options;
  return tf.tidy(() => {
    const mask = tf.cast(batch.mask, 'float32');
    const now = masked(batch.logProbs, mask);
    const old = batch.oldLogProbs ? masked(batch.oldLogProbs, mask) : stopGradient(now);
    const compute = ratios.get(options.ratio ?? 'token');
    return tf.clipByValue(compute(tf.sub(now, old), tf.sum(mask, 1, true)), -limit, limit);
  });
}

/** Per-token KL against the reference `[samples, tokens]`, 0 where masked. @throws RangeError without a reference */
export function klPerToken(batch: PolicyBatch, options: Pick<PolicyLossOptions, 'kl' | 'klClamp'> = {}): tf.Tensor2D {
  const { refLogProbs } = batch;
  if (!refLogProbs) throw new RangeError('a KL penalty needs refLogProbs: the log-probs of the reference policy');
  const estimate = klEstimates.get(options.kl ?? 'k3');
  return tf.tidy(() => {
    const mask = tf.cast(batch.mask, 'float32');
    return tf.mul(estimate(tf.sub(masked(batch.logProbs, mask), masked(refLogProbs, mask)), options), mask);
  });
}

/** 0 where masked: what stands there may be anything, and 0 times NaN is NaN. */
function masked(x: tf.Tensor2D, mask: tf.Tensor2D): tf.Tensor2D {
  return tf.where(tf.cast(mask, 'bool'), x, tf.zerosLike(x));
}

function advantageColumn(advantages: PolicyBatch['advantages']): tf.Tensor2D {
  if (advantages instanceof tf.Tensor) return tf.reshape(advantages, [-1, 1]);
  return tf.tensor2d([...advantages], [advantages.length, 1]);
}

function segmentMasks(batch: PolicyBatch): Record<string, tf.Tensor2D> | undefined {
  if (!batch.segments) return undefined;
  const masks = Object.entries(batch.segments).map(([name, mask]): [string, tf.Tensor2D] => [
    name,
    tf.mul(tf.cast(mask, 'float32'), tf.cast(batch.mask, 'float32')),
  ]);
  return Object.fromEntries(masks);
}

function segmentWeights(
  segments: Record<string, tf.Tensor2D> | undefined,
  weights: Readonly<Record<string, number>>,
): tf.Tensor2D {
  if (!segments) throw new RangeError('segmentWeights were given, but the batch has no segments');
  const missing = Object.keys(segments).filter((name) => weights[name] === undefined);
  const unknown = Object.keys(weights).filter((name) => segments[name] === undefined);
  if (missing.length + unknown.length > 0) {
    throw new RangeError(
      `segments and weights differ: segments ${Object.keys(segments).join(', ')}; weights for ${Object.keys(weights).join(', ')}`,
    );
  }
  return tf.addN(Object.entries(segments).map(([name, mask]) => tf.mul<tf.Tensor2D>(mask, weights[name])));
}

function checkShapes(batch: PolicyBatch): void {
  const { logProbs, advantages } = batch;
  const shape = logProbs.shape.join(', ');
  if (logProbs.rank !== 2) throw new RangeError(`logProbs must be [samples, tokens], got [${shape}]`);
  const others: [string, tf.Tensor | undefined][] = [
    ['oldLogProbs', batch.oldLogProbs],
    ['refLogProbs', batch.refLogProbs],
    ['mask', batch.mask],
    ...Object.entries(batch.segments ?? {}).map(([name, mask]): [string, tf.Tensor] => [`segment '${name}'`, mask]),
  ];
  for (const [name, tensor] of others) {
    if (tensor && tensor.shape.join(', ') !== shape) {
      throw new RangeError(`${name} is [${tensor.shape.join(', ')}], logProbs are [${shape}]; they must be equal`);
    }
  }
  const count = advantages instanceof tf.Tensor ? advantages.size : advantages.length;
  if (count !== logProbs.shape[0])
    throw new RangeError(`there are ${count} advantages for ${logProbs.shape[0]} samples`);
  if (!(advantages instanceof tf.Tensor) && !advantages.every(Number.isFinite)) {
    throw new RangeError(`advantage ${advantages.findIndex((a) => !Number.isFinite(a))} is not a finite number`);
  }
}
