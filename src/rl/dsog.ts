/**
 * DSOG, dynamic scaling of group size (= DGS; UniCTokens-R1, Eq. 9-10): which candidates are worth finishing. A threshold
 * on an early score is led so that a share TPR of candidates passes it.
 */
import * as z from 'zod';
import { option } from '../io/options';

const table4 = { paper: 'UniCTokens-R1, Table 4' };
type Exponent = (delta: number, trend: number, mu: number, eps: number) => number;

/** How a step is damped that goes against the threshold's trend: the exponent of T. Delta = TPR - PR, tau the trend. */
export const dampings = {
  /** Ours: 1 + Delta max(0, mu - eps |tau|). */
  damped_subtract: (delta, trend, mu, eps) => 1 + delta * Math.max(0, mu - eps * Math.abs(trend)),
  /** 1 + mu Delta / (1 + eps |tau| / mu), for comparison. */
  damped: (delta, trend, mu, eps) => 1 + (mu * delta) / (1 + (eps * Math.abs(trend)) / mu),
  /** As printed: 1 + mu Delta - eps tau Delta, which amplifies the step when both are negative. */
  literal: (delta, trend, mu, eps) => 1 + mu * delta - eps * trend * delta,
  /** The public code's: no trend, and a fixed step of 0.005 towards T^(1 + mu Delta). */
  released: (delta, _trend, mu) => 1 + mu * delta,
} satisfies Record<string, Exponent>;

export type ThresholdVersion = keyof typeof dampings;

/** Options of the threshold. */
export const thresholdShape = {
  targetPassRate: option(z.number().gt(0).lt(1), 0.25, 'TPR, the pass rate aimed at.', table4),
  mu: option(z.number().min(0), 0.12, 'mu, strength of a step.', table4),
  eta: option(z.number().min(0).max(1), 0.8, 'eta, memory of the trend.', table4),
  eps0: option(z.number().min(0), 2, 'eps0, damping of steps against the trend.', table4),
  version: option(
    z.enum(['damped_subtract', 'damped', 'literal', 'released']),
    'damped_subtract',
    'How a step against the trend is damped; literal: as printed.',
  ),
};

/** Options of early selection, for a recipe's group `dsog`. */
export const dsogShape = {
  enabled: option(z.boolean(), true, 'Early selection; false finishes the first G (ablation).'),
  probeShare: option(z.number().gt(0).lt(1), 0.2, 'Share of the T steps after which candidates are looked at.', {
    paper: 'Sync-R1, Table 4',
  }),
  batch: option(z.int().positive(), 9, 'Candidates sampled at a time.'),
  ...thresholdShape,
};

export type ThresholdOptions = Partial<z.output<z.ZodObject<typeof thresholdShape>>>;

/** Plain JSON: what a checkpoint keeps. */
export interface ThresholdState {
  /** T, in (0, 1). */
  readonly threshold: number;
  /** tau, the moving mean of T's changes; 0 at the start. */
  readonly trend: number;
}

export interface ThresholdStep extends ThresholdState {
  /** Delta = TPR - PR: above 0 when too few passed. */
  readonly delta: number;
  readonly exponent: number;
  /** Whether this step went against the trend (tau Delta > 0: a larger exponent lowers T). */
  readonly againstTrend: boolean;
}

const releasedStep = 0.005;

/**
 * The threshold after a group with pass rate `passRate` (Eq. 9-10): T <- T^exponent, tau <- eta tau + (1 - eta) change.
 * @throws RangeError for a pass rate outside [0, 1], an unknown version, or a threshold outside (0, 1)
 */
export function nextThreshold(state: ThresholdState, passRate: number, options: ThresholdOptions = {}): ThresholdStep {
  const { targetPassRate = 0.25, mu = 0.12, eta = 0.8, eps0 = 2, version = 'damped_subtract' } = options;
  if (!(passRate >= 0 && passRate <= 1)) throw new RangeError(`a pass rate must be in [0, 1], got ${passRate}`);
  if (!Object.hasOwn(dampings, version))
    throw new RangeError(`there is no threshold version '${version}'; there are ${Object.keys(dampings).join(', ')}`);
  const { threshold, trend } = state;
  // The released version leaves (0, 1) by itself; it may go on.
  if (version !== 'released' && !(threshold > 0 && threshold < 1))
    throw new RangeError(`the threshold must be in (0, 1), got ${threshold}`);
  const delta = targetPassRate - passRate;
  const againstTrend = trend * delta > 0;
  const exponent = dampings[version](delta, trend, mu, againstTrend ? eps0 : 0);
  const raised = threshold ** exponent;
  const next = version === 'released' ? moveByFixedStep(threshold, raised) : keepInside(raised);
  return { threshold: next, trend: eta * trend + (1 - eta) * (next - threshold), delta, exponent, againstTrend };
}

/** A power of a number in (0, 1) stays there, but its rounding to a double need not. */
function keepInside(threshold: number): number {
  return Math.min(1 - 2 ** -53, Math.max(Number.MIN_VALUE, threshold));
}

function moveByFixedStep(threshold: number, candidate: number): number {
  const difference = candidate - threshold;
  if (!(Math.abs(difference) > releasedStep)) return threshold;
  return threshold + Math.sign(difference) * releasedStep;
}

/**
 * The first threshold: the (1 - TPR) quantile of a first batch of candidates' scores (linear between neighbors), kept
 * in [0.001, 0.999]. NaN scores are left out.
 * @throws RangeError when no score is a number
 */
export function initialThreshold(scores: readonly number[], targetPassRate = 0.25): number {
  const sorted = scores.filter((s) => !Number.isNaN(s)).sort((a, b) => a - b);
  if (sorted.length === 0) throw new RangeError('the first threshold needs at least one candidate with a score');
  const at = (1 - targetPassRate) * (sorted.length - 1);
  const below = Math.floor(at);
  const value = sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
  return Math.min(0.999, Math.max(0.001, value));
}

export interface SelectOptions {
  /** T: a candidate passes when its early score is above it. */
  readonly threshold: number;
  /** G: how many are to be finished. */
  readonly groupSize: number;
  /** TPR, default 0.25; sets the default of `maxCandidates`. */
  readonly targetPassRate?: number;
  /** At most so many candidates are looked at before the best of the rest are taken. Default 4 G / TPR. */
  readonly maxCandidates?: number;
}

export interface Selection {
  /** Indices into the scores, G of them when `enough`: those that passed in their order, then the best of the rest. */
  readonly selected: readonly number[];
  /** Whether the group is full; otherwise more candidates are to be sampled and the whole list given again. */
  readonly enough: boolean;
  /** How many of `selected` did not pass: taken because `maxCandidates` was reached. */
  readonly filled: number;
  /** Candidates above the threshold, of all that were scored. */
  readonly passed: number;
  /** PR = passed / scored, for the next threshold. */
  readonly passRate: number;
}

/** 4 G / TPR, rounded up. */
export function maxCandidates(groupSize: number, targetPassRate = 0.25): number {
  return Math.ceil((4 * groupSize) / targetPassRate);
}

/**
 * Chooses among candidates by their early scores.
 * @param scores in the order in which they were sampled; NaN (could not be scored) never passes and comes last
 * @throws RangeError for a group of no members, or a threshold or bound that is no number
 */
export function selectCandidates(scores: readonly number[], options: SelectOptions): Selection {
  const { threshold, groupSize, targetPassRate = 0.25 } = options;
  const limit = options.maxCandidates ?? maxCandidates(groupSize, targetPassRate);
  if (!Number.isInteger(groupSize) || groupSize < 1)
    throw new RangeError(`a group needs at least one member, got ${groupSize}`);
  if (Number.isNaN(threshold)) throw new RangeError('the threshold is not a number');
  if (!(limit >= groupSize)) throw new RangeError(`maxCandidates is ${limit}, less than the group of ${groupSize}`);
  const passing = scores.flatMap((score, i) => (score > threshold ? [i] : []));
  const common = { passed: passing.length, passRate: scores.length > 0 ? passing.length / scores.length : 0 };
  if (passing.length >= groupSize) return { ...common, selected: passing.slice(0, groupSize), enough: true, filled: 0 };
  if (scores.length < limit) return { ...common, selected: passing, enough: false, filled: 0 };
  const value = (i: number): number => (Number.isNaN(scores[i]) ? -Infinity : scores[i]);
  const rest = scores
    .map((_, i) => i)
    .filter((i) => !(scores[i] > threshold))
    .sort((a, b) => (value(a) === value(b) ? a - b : value(b) - value(a)))
    .slice(0, groupSize - passing.length);
  return { ...common, selected: [...passing, ...rest], enough: true, filled: rest.length };
}

/**
 * What a selection looks like in numbers. `dsog/threshold` is the one that the candidates were compared with.
 * @param candidates early scores of all candidates
 * @param next the threshold of the next group
 */
export function dsogMetrics(
  { passed, passRate, filled }: Selection,
  candidates: readonly number[],
  threshold: number,
  next: number,
): Record<string, number> {
  return {
    'dsog/candidates': candidates.length,
    'dsog/passed': passed,
    'dsog/pass_rate': passRate,
    'dsog/filled': filled,
    'dsog/failed': candidates.filter(Number.isNaN).length,
    'dsog/threshold': threshold,
    'dsog/next_threshold': next,
  };
}

/** What early selection saw and did, for metrics and pictures. */
export interface DsogReport {
  /** Early scores of all candidates, in the order they were sampled. */
  readonly scores: readonly number[];
  /** What they were compared with. */
  readonly threshold: number;
  /** Candidates above it. */
  readonly passed: number;
  readonly next: ThresholdState;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A candidate, and what it looks like early. */
export interface EarlyScore<C> {
  readonly candidate: C;
  /** NaN: could not be scored. */
  readonly score: number;
  readonly reason?: string;
}

/**
 * DSOG: candidates come in batches and are looked at early, until G of them pass the threshold or 4 G / TPR have been
 * looked at; then the best of the rest fill the group, which is counted.
 * @param options `batch`: candidates sampled at a time
 * @param before the threshold's state; undefined before the first group, whose first batch sets it
 * @param sample gives `count` candidates with early scores, the first of them being the `from`-th of the group
 * @returns the G that are to be finished, and the report with the next state
 * @throws RangeError with the reason when no candidate of the first batch could be scored
 */
export async function selectEarly<C>(
  options: ThresholdOptions & { readonly groupSize: number; readonly batch: number },
  before: ThresholdState | undefined,
  sample: (from: number, count: number) => Promise<readonly EarlyScore<C>[]>,
): Promise<{ chosen: C[]; report: DsogReport }> {
  const { groupSize, batch, targetPassRate } = options;
  const limit = maxCandidates(groupSize, targetPassRate);
  const pool: EarlyScore<C>[] = [];
  let state = before;
  for (;;) {
    pool.push(...(await sample(pool.length, Math.min(batch, limit - pool.length))));
    const scores = pool.map(({ score }) => score);
    if (!state && scores.every(Number.isNaN))
      throw new RangeError(`none of ${scores.length} candidates could be scored early: ${reasonsOf(pool)}`);
    state ??= { threshold: initialThreshold(scores, targetPassRate), trend: 0 };
    const choice = selectCandidates(scores, { threshold: state.threshold, groupSize, targetPassRate });
    if (!choice.enough) continue;
    const { threshold, trend } = nextThreshold(state, choice.passRate, options);
    const metrics = dsogMetrics(choice, scores, state.threshold, threshold);
    const { passed } = choice;
    const report = { scores, threshold: state.threshold, passed, next: { threshold, trend }, metrics };
    return { chosen: choice.selected.map((i) => pool[i].candidate), report };
  }
}

function reasonsOf(pool: readonly EarlyScore<unknown>[]): string {
  return [...new Set(pool.map(({ reason = 'the judge gave no reason' }) => reason))].slice(0, 3).join('; ');
}
