/** Means with the interval in which they may lie: bootstrap over examples, or over clusters of them. */
import type { Rng } from '../engine';

export interface BootstrapOptions {
  /** Where the resamples come from; split one off for this. */
  rng: Rng;
  /** Default 10000. */
  resamples?: number;
  /** Default 0.95. */
  level?: number;
}

/** Ends of the interval. */
export type Interval = readonly [low: number, high: number];

export interface MeanWithInterval {
  /** Values counted. */
  readonly n: number;
  /** Distinct clusters among them: what was resampled. */
  readonly clusters: number;
  readonly mean: number;
  /** Percentile bootstrap (at `level`, 95% unless another was asked for). */
  readonly ci95: Interval;
}

export interface PairedDifference {
  /** Pairs counted. */
  readonly n: number;
  /** Distinct clusters among them: what was resampled. */
  readonly clusters: number;
  readonly before: number;
  readonly after: number;
  /** Mean of after - before. */
  readonly delta: number;
  /** Percentile bootstrap of `delta` (at `level`, 95% unless another was asked for). */
  readonly ci95: Interval;
  /** Pairs left out because one of the two was NaN. */
  readonly left: number;
}

/**
 * A mean and its interval where values come in clusters, as several images of one prompt do. Whole clusters are
 * resampled: 192 values of 4 prompts say no more about new prompts than 4 clusters can. NaN values are left out.
 * @param clusterIds `[values.length]`, equal for values of one cluster
 * @throws RangeError for lists of unequal length, when no value is a number, or for a wrong option
 * @example
 * clusteredBootstrap([1, 1, 0, 0], ['cat', 'cat', 'dog', 'dog'], { rng: new Rng(0) }).ci95; // [0, 1]
 */
export function clusteredBootstrap(
  values: readonly number[],
  clusterIds: readonly (string | number)[],
  options: BootstrapOptions,
): MeanWithInterval {
  const { rng, resamples = 10_000, level = 0.95 } = options;
  if (!Number.isInteger(resamples) || resamples < 1)
    throw new RangeError(`resamples must be a positive integer, got ${resamples}`);
  if (!(level > 0 && level < 1)) throw new RangeError(`level must be in (0, 1), got ${level}`);
  const clusters = sumByCluster(values, clusterIds);
  if (clusters.length === 0) throw new RangeError('no value is a number: there is nothing to take a mean of');

  const means = new Float64Array(resamples).map(() => meanOf(clusters.map(() => rng.pick(clusters))));
  means.sort();
  const ci95: Interval = [quantile(means, (1 - level) / 2), quantile(means, (1 + level) / 2)];
  const n = clusters.reduce((total, cluster) => total + cluster.count, 0);
  return { n, clusters: clusters.length, mean: meanOf(clusters), ci95 };
}

/**
 * The difference of two scores of the same examples, which come in clusters. Pairs are resampled together, cluster by
 * cluster: what makes an example hard for both cancels, so the interval is narrower than that of two separate means.
 * @param clusterIds `[before.length]`, equal for pairs of one cluster
 * @throws RangeError for lists of unequal length or without a complete pair
 */
export function pairedClusteredBootstrap(
  before: readonly number[],
  after: readonly number[],
  clusterIds: readonly (string | number)[],
  options: BootstrapOptions,
): PairedDifference {
  if (before.length !== after.length) {
    throw new RangeError(
      `there are ${before.length} scores before and ${after.length} after; they must be of the same examples`,
    );
  }
  const differences = after.map((value, i) => value - before[i]);
  const { n, clusters, mean, ci95 } = clusteredBootstrap(differences, clusterIds, options);
  const isComplete = (_: number, i: number): boolean => !Number.isNaN(differences[i]);
  const meanOfPairs = (scores: readonly number[]): number => scores.filter(isComplete).reduce((a, b) => a + b, 0) / n;
  return {
    n,
    clusters,
    before: meanOfPairs(before),
    after: meanOfPairs(after),
    delta: mean,
    ci95,
    left: before.length - n,
  };
}

/** Values that belong together, with their clusters' ids. */
export interface Stratum {
  readonly values: readonly number[];
  readonly ids: readonly (string | number)[];
}

/**
 * The plain mean over strata (a benchmark's tags) of their own means, and its interval: each resample draws whole
 * clusters within every stratum. NaN values are left out. `n` and `clusters` are sums over the strata.
 * @throws RangeError for no strata, one without a number, lists of unequal length, or a wrong option
 */
export function stratifiedBootstrap(strata: readonly Stratum[], options: BootstrapOptions): MeanWithInterval {
  const { rng, resamples = 10_000, level = 0.95 } = options;
  if (strata.length === 0) throw new RangeError('there are no strata to take a mean over');
  const all = strata.map(({ values, ids }) => sumByCluster(values, ids));
  if (all.some((clusters) => clusters.length === 0)) throw new RangeError('a stratum holds no number');
  const overall = (of: (clusters: Cluster[]) => Cluster[]) =>
    all.reduce((sum, clusters) => sum + meanOf(of(clusters)), 0) / all.length;
  const means = new Float64Array(resamples).map(() => overall((clusters) => clusters.map(() => rng.pick(clusters))));
  means.sort();
  const ci95: Interval = [quantile(means, (1 - level) / 2), quantile(means, (1 + level) / 2)];
  const total = (count: (clusters: Cluster[]) => number) => all.reduce((sum, clusters) => sum + count(clusters), 0);
  const n = total((clusters) => clusters.reduce((sum, cluster) => sum + cluster.count, 0));
  return { n, clusters: total(({ length }) => length), mean: overall((clusters) => clusters), ci95 };
}

/** {@link clusteredBootstrap} of independent examples: each is its own cluster. */
export function meanInterval(values: readonly number[], options: BootstrapOptions): MeanWithInterval {
  return clusteredBootstrap(values, [...values.keys()], options);
}

/** {@link pairedClusteredBootstrap} of independent examples: each is its own cluster. */
export function pairedBootstrap(
  before: readonly number[],
  after: readonly number[],
  options: BootstrapOptions,
): PairedDifference {
  return pairedClusteredBootstrap(before, after, [...before.keys()], options);
}

interface Cluster {
  sum: number;
  count: number;
}

/** Sum and count of every cluster that holds a number. */
function sumByCluster(values: readonly number[], ids: readonly (string | number)[]): Cluster[] {
  if (values.length !== ids.length)
    throw new RangeError(`there are ${values.length} values and ${ids.length} cluster ids`);
  const clusters = new Map<string | number, Cluster>();
  for (const [i, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    const cluster = clusters.get(ids[i]) ?? { sum: 0, count: 0 };
    clusters.set(ids[i], { sum: cluster.sum + value, count: cluster.count + 1 });
  }
  return [...clusters.values()];
}

function meanOf(clusters: readonly Cluster[]): number {
  let sum = 0;
  let count = 0;
  for (const cluster of clusters) {
    sum += cluster.sum;
    count += cluster.count;
  }
  return sum / count;
}

/** Linear between neighbors. */
function quantile(sorted: Float64Array, q: number): number {
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
