/** What rewards, completions and updates look like in numbers, under TRL's names and with TRL's meaning. */
import { tf } from '../engine';
import type { Trajectory } from '../models/unified';
import { isFlat, isMissing, type MaybeReward, mean, scoredOf, standardDeviation } from './advantages';
import { resolveTrainStep, type SelfCheckOptions, type TrainStepOptions } from './options';
import { placeOf, type Row, sampledTokens, type WeightedRow } from './rows';

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

/** @throws StepRefusedError for a NaN or an infinity at a scored token */
export function checkFinite(chunk: readonly Row[], logProbs: readonly Float32Array[], whose: string): void {
  for (const [i, row] of chunk.entries()) {
    const at = row.mask.findIndex((m, t) => m !== 0 && !Number.isFinite(logProbs[i][t]));
    if (at < 0) continue;
    const place = placeOf(row, at);
    throw new StepRefusedError(`the ${whose} log-prob at ${place} is ${logProbs[i][at]}: the step was not taken`);
  }
}

/** A sum of 0 x weight is 0 unless one is not finite, on every engine. */
export async function checkWeights(variables: Readonly<Record<string, tf.Variable>>): Promise<void> {
  const list = Object.values(variables);
  if (list.length === 0) return;
  const sums = tf.tidy(() => tf.stack(list.map((variable) => tf.sum(tf.mul(variable, 0)))));
  const values = await sums.data();
  sums.dispose();
  const at = values.findIndex((value) => value !== 0);
  if (at >= 0)
    throw new StepRefusedError(`the weights '${Object.keys(variables)[at]}' are not finite: the step was not taken`);
}

/**
 * Before the first update the policy is the one that sampled: what is replayed is what was recorded, or positions,
 * images, temperature or guidance are not those of the sampler. Remembers how far both lie apart.
 */
export class RatioCheck {
  private readonly differences: number[] = [];

  /**
   * @param exact whether products are float32
   * @param replaysOld whether old log-probs were replayed, and must come out the same again
   */
  constructor(
    private readonly options: SelfCheckOptions,
    private readonly exact: boolean,
    private readonly replaysOld: boolean,
  ) {}

  /** @throws StepRefusedError naming the worst position */
  check(chunk: readonly Row[], replayed: readonly Float32Array[]): void {
    const worst = { apart: 0, place: '', now: 0, recorded: 0 };
    const from = this.differences.length;
    for (const [i, row] of chunk.entries()) {
      for (const [t, m] of row.mask.entries()) {
        if (!m) continue;
        const [now, recorded] = [replayed[i][t], row.transition.logProbs[t]];
        if (this.options.ratio && this.replaysOld && row.old && row.old[t] !== now)
          throw new StepRefusedError(
            `the ratio before the first update is not 1 at ${placeOf(row, t)}: replaying it twice gives ${row.old[t]} and ${now}`,
          );
        this.differences.push(now - recorded);
        const apart = Math.abs(now - recorded);
        if (!(apart <= worst.apart)) Object.assign(worst, { apart, place: placeOf(row, t), now, recorded });
      }
    }
    if (!this.options.ratio || this.isClose(worst.apart, this.differences.slice(from))) return;
    const { place, now, recorded } = worst;
    throw new StepRefusedError(
      `the ratio before the first update is not 1 at ${place}: replayed log-prob ${now.toPrecision(6)}, recorded ${recorded.toPrecision(6)} (ratio ${Math.exp(now - recorded).toPrecision(6)}). What is replayed is not what was sampled: look at positions, images, temperature and guidance`,
    );
  }

  private isClose(worst: number, differences: readonly number[]): boolean {
    if (this.exact) return Math.expm1(worst) <= this.options.ratioTolerance;
    return mean(differences.map(Math.abs)) <= this.options.mismatchTolerance;
  }

  /**
   * TRL's `sampling/...`, over all tokens that were compared; nothing without any.
   * @param cap of truncated importance sampling; without it no ratio is logged
   */
  metrics(cap?: number): Record<string, number> {
    if (this.differences.length === 0) return {};
    const apart = this.differences.map(Math.abs);
    const logp = {
      'sampling/sampling_logp_difference/mean': mean(apart),
      'sampling/sampling_logp_difference/max': apart.reduce((a, b) => Math.max(a, b)),
    };
    if (cap === undefined) return logp;
    const ratios = this.differences.map((difference) => Math.min(Math.exp(difference), cap));
    return {
      ...logp,
      'sampling/importance_sampling_ratio/min': ratios.reduce((a, b) => Math.min(a, b)),
      'sampling/importance_sampling_ratio/mean': mean(ratios),
      'sampling/importance_sampling_ratio/max': ratios.reduce((a, b) => Math.max(a, b)),
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
