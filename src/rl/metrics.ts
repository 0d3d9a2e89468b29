/** What rewards, completions and updates look like in numbers, under TRL's names and with TRL's meaning. */
import type { Trajectory } from '../models/unified';
import { isFlat, isMissing, type MaybeReward, mean, scoredOf, standardDeviation } from './advantages';
import { resolveTrainStep, type SelfCheckOptions, type TrainStepOptions } from './options';
import { sampledTokens, type WeightedRow } from './rows';

/** A step that was refused: the weights are as they were, and nothing must be saved. */
export class StepRefusedError extends Error {
  override readonly name = 'StepRefusedError';
}

/**
 * - `reward`: mean of the groups' means; `reward_std`: mean of the groups' standard deviations
 * - `frac_reward_zero_std`: share of groups without spread
 * - `rewards/NAME/mean`, `rewards/NAME/std` of each reward, and `rewards/NAME/failed`: samples that it could not score
 *
 * A missing reward (NaN, null, undefined) touches no number; what was not measured at all is left out.
 * @param groups total rewards, one list a prompt
 * @param parts each reward's numbers, one a sample, group after group
 */
export function rewardMetrics(
  groups: readonly (readonly MaybeReward[])[],
  parts: Readonly<Record<string, readonly MaybeReward[]>> = {},
): Record<string, number> {
  const scored = groups.map(scoredOf);
  const measured = scored.filter((group) => group.length > 0);
  const metrics: Record<string, number> = {
    reward: mean(measured.map(mean)),
    reward_std: mean(measured.map((group) => standardDeviation(group))),
    frac_reward_zero_std: scored.filter(isFlat).length / groups.length,
  };
  for (const [name, values] of Object.entries(parts)) {
    const there = values.filter((value): value is number => !isMissing(value));
    metrics[`rewards/${name}/mean`] = mean(there);
    if (there.length > 0) metrics[`rewards/${name}/std`] = standardDeviation(there);
    metrics[`rewards/${name}/failed`] = values.length - there.length;
  }
  return numbersOf(metrics);
}

/** Lengths of texts in sampled tokens, and the share that the limit cut: `completions/...`. Nothing without any text. */
export function completionMetrics(trajectories: readonly Trajectory[]): Record<string, number> {
  const texts = trajectories.flatMap(({ segments }) => segments.filter(({ name }) => name === 'understanding'));
  if (texts.length === 0) return {};
  const lengths = texts.map(sampledTokens);
  const finished = texts.flatMap((text, i) => (text.name === 'understanding' && text.finished ? [lengths[i]] : []));
  return numbersOf({
    'completions/mean_length': mean(lengths),
    'completions/min_length': Math.min(...lengths),
    'completions/max_length': Math.max(...lengths),
    'completions/clipped_ratio': 1 - finished.length / lengths.length,
    'completions/mean_terminated_length': mean(finished),
    'completions/min_terminated_length': finished.length > 0 ? Math.min(...finished) : NaN,
    'completions/max_terminated_length': finished.length > 0 ? Math.max(...finished) : NaN,
  });
}

/** What a run remembers of its groups; plain JSON, a part of a recipe's state. */
export interface FlatGroups {
  /** Groups in a row, up to now, whose rewards were all equal. */
  flatGroups: number;
}

/**
 * Counts groups without spread: a reward that is always the same teaches nothing, however healthy the loss looks.
 * @param state changed in place
 * @param warn gets the warning; default `console.warn`
 * @throws StepRefusedError after `stopAfterFlatGroups` of them in a row; RangeError for an infinite reward
 */
export function checkSpread(
  state: FlatGroups,
  groups: readonly (readonly MaybeReward[])[],
  options: SelfCheckOptions = resolveTrainStep({}).selfChecks,
  warn: (text: string) => void = console.warn,
): void {
  const { warnAfterFlatGroups: few, stopAfterFlatGroups: many } = options;
  for (const group of groups.map(scoredOf)) {
    state.flatGroups = isFlat(group) ? state.flatGroups + 1 : 0;
    const said = `the rewards of ${state.flatGroups} groups in a row had no spread (the last: ${group.slice(0, 4).join(', ')})`;
    if (many !== null && state.flatGroups >= many)
      throw new StepRefusedError(`${said}: nothing can be learned from them; look at the reward and at the samples`);
    if (state.flatGroups === few) warn(`${said}: nothing is learned from them`);
  }
}

/** Sums of one row, read after its forward and backward pass. */
export interface RowSums {
  readonly kl: number;
  readonly clippedLow: number;
  readonly clippedHigh: number;
}

/** Metrics of one minibatch, as TRL has them. */
export function minibatchMetrics(
  rows: readonly WeightedRow[],
  sums: readonly RowSums[],
  { beta, surrogate, importanceSamplingLevel }: TrainStepOptions,
): Record<string, number> {
  const tokens = rows.reduce((sum, row) => sum + row.tokens, 0);
  const metrics: Record<string, number> = {};
  if (beta > 0) metrics.kl = sums.reduce((sum, { kl }) => sum + kl, 0) / tokens;
  if (rows.every(({ entropies }) => entropies)) metrics.entropy = entropySum(rows) / tokens;
  if (surrogate === 'none') return metrics;
  const low = shares(rows, sums, 'clippedLow');
  const high = shares(rows, sums, 'clippedHigh');
  const meanOf = ({ clipped, of }: Shares): number =>
    importanceSamplingLevel === 'token'
      ? clipped.reduce((a, b) => a + b, 0) / tokens
      : mean(clipped.map((c, i) => c / of[i]));
  const [lowMean, highMean] = [meanOf(low), meanOf(high)];
  if (surrogate === 'cispo') return { ...metrics, cispo_clip_ratio: highMean };
  return {
    ...metrics,
    'clip_ratio/low_mean': lowMean,
    'clip_ratio/low_min': Math.min(...low.clipped.map((c, i) => c / low.of[i])),
    'clip_ratio/high_mean': highMean,
    'clip_ratio/high_max': Math.max(...high.clipped.map((c, i) => c / high.of[i])),
    'clip_ratio/region_mean': lowMean + highMean,
  };
}

interface Shares {
  readonly clipped: number[];
  readonly of: number[];
}

/** Clipped tokens of each trajectory, and its tokens. */
function shares(rows: readonly WeightedRow[], sums: readonly RowSums[], side: 'clippedLow' | 'clippedHigh'): Shares {
  const clipped = new Map<number, number>();
  const of = new Map<number, number>();
  for (const [i, { trajectory, tokens }] of rows.entries()) {
    clipped.set(trajectory, (clipped.get(trajectory) ?? 0) + sums[i][side]);
    of.set(trajectory, (of.get(trajectory) ?? 0) + tokens);
  }
  return { clipped: [...clipped.values()], of: [...of.values()] };
}

function entropySum(rows: readonly WeightedRow[]): number {
  return rows.reduce(
    (sum, { mask, entropies }) => sum + mask.reduce((own, m, i) => own + (m ? (entropies as Float32Array)[i] : 0), 0),
    0,
  );
}

/**
 * How far replayed log-probs lie from those recorded while sampling, over all scored tokens: TRL's `sampling/...`.
 * With unchanged weights this is the numerical mismatch alone.
 */
export class SamplingMismatch {
  private readonly differences: number[] = [];

  /** @param difference replayed - sampled */
  add(difference: number): void {
    this.differences.push(difference);
  }

  /** Nothing when nothing was compared. @param cap of truncated importance sampling; without it no ratio is logged */
  metrics(cap?: number): Record<string, number> {
    const { differences } = this;
    if (differences.length === 0) return {};
    let [sum, most, ratios, least, largest] = [0, 0, 0, Infinity, 0];
    for (const difference of differences) {
      const apart = Math.abs(difference);
      const ratio = Math.min(Math.exp(difference), cap ?? Infinity);
      [sum, most, ratios] = [sum + apart, Math.max(most, apart), ratios + ratio];
      [least, largest] = [Math.min(least, ratio), Math.max(largest, ratio)];
    }
    const name = 'sampling/importance_sampling_ratio';
    return {
      'sampling/sampling_logp_difference/mean': sum / differences.length,
      'sampling/sampling_logp_difference/max': most,
      ...(cap !== undefined && {
        [`${name}/min`]: least,
        [`${name}/mean`]: ratios / differences.length,
        [`${name}/max`]: largest,
      }),
    };
  }
}

/** Means of records, name by name. */
export function meansOf(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const valuesOf = (name: string) => records.flatMap((record) => (name in record ? [record[name]] : []));
  return Object.fromEntries(names.map((name) => [name, mean(valuesOf(name))]));
}

function numbersOf(metrics: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => !Number.isNaN(value)));
}
