/** Means with the interval in which they may lie: bootstrap over examples. */
import type { Rng } from '../engine';

export interface BootstrapOptions {
  /** Where the resamples come from; fork one for this. */
  rng: Rng;
  /** Default 10000. */
  resamples?: number;
  /** Default 0.95. */
  level?: number;
}

/** Ends of the interval. */
export type Interval = readonly [low: number, high: number];

export interface MeanWithInterval {
  readonly n: number;
  readonly mean: number;
  readonly ci95: Interval;
}

export interface PairedDifference {
  /** Pairs counted. */
  readonly n: number;
  readonly before: number;
  readonly after: number;
  /** Mean of after - before. */
  readonly delta: number;
  /** Percentile bootstrap over pairs (at `level`, 95% unless another was asked for). */
  readonly ci95: Interval;
  /** Pairs left out because one of the two was NaN. */
  readonly left: number;
}

/**
 * The difference of two scores of the same examples. Pairs are resampled together: what makes an example hard for both
 * cancels, so the interval is narrower than that of two separate means.
 * @throws RangeError for lists of unequal length or without a complete pair
 */
export function pairedBootstrap(
  before: readonly number[],
  after: readonly number[],
  options: BootstrapOptions,
): PairedDifference {
  if (before.length !== after.length) {
    throw new RangeError(
      `there are ${before.length} scores before and ${after.length} after; they must be of the same examples`,
    );
  }
  const pairs = before.flatMap((b, i) => (Number.isNaN(b) || Number.isNaN(after[i]) ? [] : [[b, after[i]] as const]));
  const differences = pairs.map(([b, a]) => a - b);
  const { n, mean, ci95 } = meanInterval(differences, options);
  const meanOf = (k: 0 | 1): number => pairs.reduce((sum, pair) => sum + pair[k], 0) / n;
  return { n, before: meanOf(0), after: meanOf(1), delta: mean, ci95, left: before.length - n };
}

/**
 * A mean and its percentile bootstrap interval; NaN values are left out.
 * @throws RangeError when no value is a number, or for a wrong option
 */
export function meanInterval(values: readonly number[], options: BootstrapOptions): MeanWithInterval {
  const { rng, resamples = 10_000, level = 0.95 } = options;
  if (!Number.isInteger(resamples) || resamples < 1)
    throw new RangeError(`resamples must be a positive integer, got ${resamples}`);
  if (!(level > 0 && level < 1)) throw new RangeError(`level must be in (0, 1), got ${level}`);
  const there = values.filter((v) => !Number.isNaN(v));
  const n = there.length;
  if (n === 0) throw new RangeError('no value is a number: there is nothing to take a mean of');
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += there[rng.int(n)];
    means[r] = sum / n;
  }
  means.sort();
  const mean = there.reduce((sum, v) => sum + v, 0) / n;
  return { n, mean, ci95: [quantile(means, (1 - level) / 2), quantile(means, (1 + level) / 2)] };
}

/** Linear between neighbors. */
function quantile(sorted: Float64Array, q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
