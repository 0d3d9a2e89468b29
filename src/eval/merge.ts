/** Merging fine-tuned weights onto their base by the Gaussian rule (what CoRL merges its two understanding policies with). */

export interface MergeOptions {
  /** Half the interval's width in standard deviations, lambda. Default 2. */
  lambda?: number;
  /** Standard deviation over n instead of n - 1. Default false. */
  population?: boolean;
}

/** What the rule found in one tensor. */
export interface MergeStatistics {
  /** Mean of the models' mean differences. */
  readonly mu: number;
  /** The smallest of the models' standard deviations. */
  readonly sigma: number;
  readonly muEach: readonly number[];
  readonly sigmaEach: readonly number[];
  readonly low: number;
  readonly high: number;
  /** Elements outside [low, high], by model. */
  readonly outliers: readonly number[];
}

/**
 * Merges one tensor. With d_i = W_i - W_base: an element of d_i inside [mu - lambda sigma, mu + lambda sigma] is noise
 * that the models share and is averaged (weight 1 / models), one outside is what that model learned and is kept whole
 * (weight 1). W = W_base + sum of w_i d_i, computed in double precision.
 * @throws RangeError for fewer than two models, sizes that differ, or weights that are no numbers
 */
export function mergeGaussian(
  base: Float32Array,
  models: readonly Float32Array[],
  options: MergeOptions = {},
): { merged: Float32Array; statistics: MergeStatistics } {
  const { lambda = 2, population = false } = options;
  if (models.length < 2) throw new RangeError(`merging needs at least two models, got ${models.length}`);
  for (const [i, model] of models.entries()) {
    if (model.length !== base.length)
      throw new RangeError(`model ${i} has ${model.length} weights, the base ${base.length}`);
  }
  const each = models.map((model) => moments(base, model, population));
  const muEach = each.map((m) => m.mean);
  const sigmaEach = each.map((m) => m.deviation);
  const mu = muEach.reduce((a, b) => a + b, 0) / models.length;
  const sigma = Math.min(...sigmaEach);
  if (!Number.isFinite(mu) || !Number.isFinite(sigma))
    throw new RangeError('the weights to be merged hold NaN or infinity');
  const low = mu - lambda * sigma;
  const high = mu + lambda * sigma;
  const outliers = models.map(() => 0);
  const merged = new Float32Array(base.length);
  for (let j = 0; j < base.length; j++) {
    let sum = base[j];
    for (let i = 0; i < models.length; i++) {
      const d = models[i][j] - base[j];
      const inside = d >= low && d <= high;
      if (!inside) outliers[i]++;
      sum += inside ? d / models.length : d;
    }
    merged[j] = sum;
  }
  return { merged, statistics: { mu, sigma, muEach, sigmaEach, low, high, outliers } };
}

function moments(base: Float32Array, model: Float32Array, population: boolean): { mean: number; deviation: number } {
  const n = base.length;
  if (n === 0) return { mean: 0, deviation: 0 };
  let sum = 0;
  for (let j = 0; j < n; j++) sum += model[j] - base[j];
  const mean = sum / n;
  let squares = 0;
  for (let j = 0; j < n; j++) squares += (model[j] - base[j] - mean) ** 2;
  const divisor = population ? n : n - 1;
  return { mean, deviation: divisor > 0 ? Math.sqrt(squares / divisor) : 0 };
}

/** Named tensors as they are merged and saved. */
export type Weights = Readonly<Record<string, Float32Array>>;

/**
 * Merges whole models tensor by tensor.
 * @throws RangeError naming every tensor that is missing somewhere, or the one that does not fit
 */
export function mergeModels(
  base: Weights,
  models: readonly Weights[],
  options: MergeOptions = {},
): { merged: Record<string, Float32Array>; statistics: Record<string, MergeStatistics> } {
  const names = new Set([base, ...models].flatMap((weights) => Object.keys(weights)));
  const missing = [...names].filter((name) => [base, ...models].some((weights) => !Object.hasOwn(weights, name)));
  if (missing.length > 0) throw new RangeError(`not all models have the tensors ${missing.join(', ')}`);
  const merged: [string, Float32Array][] = [];
  const statistics: [string, MergeStatistics][] = [];
  for (const name of names) {
    try {
      const tuned = models.map((weights) => weights[name]);
      const one = mergeGaussian(base[name], tuned, options);
      merged.push([name, one.merged]);
      statistics.push([name, one.statistics]);
    } catch (error) {
      throw new RangeError(`tensor '${name}': ${(error as Error).message}`, { cause: error });
    }
  }
  return { merged: Object.fromEntries(merged), statistics: Object.fromEntries(statistics) };
}
