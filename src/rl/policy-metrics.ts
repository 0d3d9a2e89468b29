/** What a policy update looks like in numbers, under TRL's names. */
import * as tf from '@tensorflow/tfjs';
import { type PolicyBatch, type PolicyLossOptions, klPerToken, logRatio } from './policy-loss';

export interface PolicyMetricsBatch extends PolicyBatch {
  /** Entropy of the distribution each token was drawn from, `[samples, tokens]`, when it is known. */
  readonly entropies?: tf.Tensor2D;
}

/**
 * Metrics of one batch, means over active tokens:
 * - `kl`: against the reference (with `refLogProbs`), by the chosen estimate
 * - `entropy` (with `entropies`)
 * - `clip_ratio/low_mean`, `clip_ratio/high_mean`, `clip_ratio/region_mean`: share of tokens whose gradient the bound
 *   below (advantage < 0), above (advantage > 0) or either cuts; `low_min` and `high_max` are the least and the largest
 *   share of a sample. With surrogate `cispo` only `cispo_clip_ratio`, with `none` neither
 * - `ratio/mean`, `ratio/min`, `ratio/max`
 * - `completions/mean_length`: active tokens a sample
 * @throws RangeError as {@link klPerToken}
 */
export async function policyMetrics(
  batch: PolicyMetricsBatch,
  options: PolicyLossOptions = {},
): Promise<Record<string, number>> {
  const [n, tokens] = batch.logProbs.shape;
  const mask = await batch.mask.data();
  const advantages = batch.advantages instanceof tf.Tensor ? await batch.advantages.data() : batch.advantages;
  const active = Array.from(mask).filter((m) => m !== 0).length;
  const meanOver = (values: ArrayLike<number>): number => {
    let sum = 0;
    for (let i = 0; i < mask.length; i++) if (mask[i]) sum += values[i];
    return active > 0 ? sum / active : 0;
  };
  const metrics: Record<string, number> = {};
  if (batch.refLogProbs) metrics.kl = meanOver(await dataOf(klPerToken(batch, options)));
  if (batch.entropies) metrics.entropy = meanOver(await batch.entropies.data());

  const width = options.ratio === undefined || options.ratio === 'token' ? tokens : 1;
  const ratio = Array.from(await dataOf(logRatio(batch, options)), Math.exp);
  const at = (i: number): number => (width === tokens ? ratio[i] : ratio[Math.floor(i / tokens)]);
  const { surrogate = 'clip', epsilon = 0.2, epsilonHigh = 0.2, epsMax = 1.2 } = options;
  const upper = surrogate === 'cispo' ? epsMax : 1 + epsilonHigh;
  const rows = Array.from({ length: n }, () => ({ low: 0, high: 0, length: 0 }));
  const all = { sum: 0, min: Infinity, max: -Infinity };
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    const row = Math.floor(i / tokens);
    const r = at(i);
    rows[row].length++;
    if (r < 1 - epsilon && advantages[row] < 0) rows[row].low++;
    if (r > upper && advantages[row] > 0) rows[row].high++;
    all.sum += r;
    all.min = Math.min(all.min, r);
    all.max = Math.max(all.max, r);
  }
  if (active > 0)
    Object.assign(metrics, { 'ratio/mean': all.sum / active, 'ratio/min': all.min, 'ratio/max': all.max });
  const low = rows.reduce((sum, row) => sum + row.low, 0) / Math.max(active, 1);
  const high = rows.reduce((sum, row) => sum + row.high, 0) / Math.max(active, 1);
  const share = (kind: 'low' | 'high'): number[] =>
    rows.filter((row) => row.length > 0).map((row) => row[kind] / row.length);
  if (surrogate === 'cispo') metrics.cispo_clip_ratio = high;
  if (surrogate === 'clip') {
    metrics['clip_ratio/low_mean'] = low;
    metrics['clip_ratio/low_min'] = share('low').reduce((a, b) => Math.min(a, b), 1) * (active > 0 ? 1 : 0);
    metrics['clip_ratio/high_mean'] = high;
    metrics['clip_ratio/high_max'] = share('high').reduce((a, b) => Math.max(a, b), 0);
    metrics['clip_ratio/region_mean'] = low + high;
  }
  metrics['completions/mean_length'] = active / n;
  return metrics;
}

/**
 * How far replayed log-probs lie from those recorded while sampling: mean and largest absolute difference over active
 * tokens. With unchanged weights this is the numerical mismatch alone.
 */
export async function logProbDifference(
  recorded: tf.Tensor2D,
  replayed: tf.Tensor2D,
  mask: tf.Tensor2D,
): Promise<{ mean: number; max: number }> {
  const [a, b, m] = await Promise.all([recorded.data(), replayed.data(), mask.data()]);
  let sum = 0;
  let max = 0;
  let count = 0;
  for (let i = 0; i < m.length; i++) {
    if (!m[i]) continue;
    const difference = Math.abs(a[i] - b[i]);
    sum += difference;
    max = difference > max || Number.isNaN(difference) ? difference : max;
    count++;
  }
  return { mean: count > 0 ? sum / count : 0, max };
}

async function dataOf(tensor: tf.Tensor): Promise<Float32Array> {
  const data = await tensor.data<'float32'>();
  tensor.dispose();
  return data;
}
