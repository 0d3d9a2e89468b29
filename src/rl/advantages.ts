/** From rewards to advantages: how much better a sample is than the others of its group. */
import * as z from 'zod';
import { option } from '../io/options';

/** A number, or what stands for none: a reward that could not be computed (JSON writes NaN as null). */
export type MaybeReward = number | null | undefined;

export interface AdvantageOptions {
  /** `grpo`: what a standard deviation is taken over. Default `group`; `none` does not divide (Dr.GRPO). */
  readonly scaleRewards?: 'group' | 'batch' | 'none';
  /** `grpo`: standard deviation over n - 1 (default; TRL, CoRL) or over n. */
  readonly population?: boolean;
  /** Added to a standard deviation before dividing. Default 1e-4. */
  readonly epsilon?: number;
  /** `rloo`: also subtract the batch's mean and divide by its standard deviation. Default false. */
  readonly normalize?: boolean;
}

/** `scaleRewards` as an option of a recipe. */
export const scaleRewardsOption = option(
  z.enum(['group', 'batch', 'none']),
  'group',
  'What a standard deviation that advantages are divided by is over. Where most groups are all right, that of a group is noise.',
  { paper: 'TRL; none: Dr.GRPO' },
);

type Groups = readonly (readonly number[])[];
type Advantage = (groups: Groups, options: AdvantageOptions) => number[][];

const centered = (rewards: readonly number[]): number[] => {
  const center = mean(rewards);
  return rewards.map((r) => r - center);
};

/** Each gets the rewards that could be computed: finite, at least two a group. */
export const advantageKinds = {
  /** (r - mean of the group) / (std + epsilon) (DeepSeekMath). */
  grpo: (groups, { scaleRewards = 'group', population = false, epsilon = 1e-4 }) => {
    const ofBatch = standardDeviation(groups.flat(), population);
    return groups.map((rewards) => {
      if (scaleRewards === 'none') return centered(rewards);
      const spread = scaleRewards === 'batch' ? ofBatch : standardDeviation(rewards, population);
      return centered(rewards).map((r) => r / (spread + epsilon));
    });
  },
  /** r - mean of the group (Dr.GRPO; Sync-GRPO). */
  dr_grpo: (groups) => groups.map(centered),
  /** r - mean of the group's other members. */
  rloo: (groups, { normalize = false, epsilon = 1e-4 }) => {
    const left = groups.map((rewards) => centered(rewards).map((r) => (r * rewards.length) / (rewards.length - 1)));
    if (!normalize) return left;
    const spread = standardDeviation(left.flat()) + epsilon;
    const center = mean(left.flat());
    return left.map((group) => group.map((a) => (a - center) / spread));
  },
} satisfies Record<string, Advantage>;

export interface GroupAdvantages {
  /** One number a sample, group after group. */
  readonly advantages: number[];
  /** Share of groups whose rewards are all equal, or that have fewer than two: they teach nothing. */
  readonly fracZeroStd: number;
  /** Samples without a reward; their advantage is 0 and they touch no mean. */
  readonly nanRewards: number;
}

/**
 * Advantages of groups of rewards. A sample without a reward (NaN, null, undefined) gets 0, and its group is treated as
 * if it were not there; a group with fewer than two rewards is all 0.
 * @param groups one list of rewards a prompt; lists may differ in length
 * @throws RangeError for an unknown kind, no groups, an infinite reward or what is no number
 */
export function groupAdvantages(
  kind: keyof typeof advantageKinds,
  groups: readonly (readonly MaybeReward[])[],
  options: AdvantageOptions = {},
): GroupAdvantages {
  if (!Object.hasOwn(advantageKinds, kind))
    throw new RangeError(`there are no advantages '${kind}'; there are ${Object.keys(advantageKinds).join(', ')}`);
  if (groups.length === 0) throw new RangeError('there are no groups of rewards');
  const scored = groups.map(scoredOf);
  const scale = powerOfTwoAbove(scored.flat());
  const usable = scored.filter((rewards) => rewards.length > 1).map((rewards) => rewards.map((r) => r / scale));
  // Divided by a power of two, which is exact: no square overflows. What is not normalized is multiplied again.
  const unit = advantageKinds[kind](usable, { ...options, epsilon: (options.epsilon ?? 1e-4) / scale });
  const again = isNormalized(kind, options) ? 1 : scale;
  let next = 0;
  const advantages = groups.flatMap((group, g) => {
    const own = scored[g].length > 1 ? unit[next++] : undefined;
    let at = 0;
    return group.map((r) => (isMissing(r) || !own ? 0 : own[at++] * again));
  });
  return {
    advantages,
    fracZeroStd: scored.filter(isFlat).length / groups.length,
    nanRewards: groups.flat().filter(isMissing).length,
  };
}

const isNormalized = (kind: string, { scaleRewards, normalize }: AdvantageOptions): boolean =>
  kind === 'grpo' ? scaleRewards !== 'none' : kind === 'rloo' && normalize === true;

/** One reward of all samples, and its weight. */
export interface RewardColumn {
  readonly weight: number;
  readonly groups: readonly (readonly MaybeReward[])[];
}

export interface CombineOptions extends AdvantageOptions {
  /** Default `sum-then-normalize`. `normalize-then-sum`: the weighted sum of each reward's own advantages (GDPO). */
  readonly order?: 'sum-then-normalize' | 'normalize-then-sum';
  /** `normalize-then-sum`: z-scores the sum over the batch, as TRL does. Default true; CoRL does not. */
  readonly whiten?: boolean;
}

/**
 * Advantages of several rewards. A reward that could not be computed is left out of a sample's sum.
 * @throws RangeError as {@link groupAdvantages}, and for columns of unlike shapes
 */
export function combinedAdvantages(
  kind: keyof typeof advantageKinds,
  columns: readonly RewardColumn[],
  options: CombineOptions = {},
): GroupAdvantages {
  const totals = weightedSums(columns);
  if (options.order !== 'normalize-then-sum') return groupAdvantages(kind, totals, options);
  const own = columns.map(({ groups }) => groupAdvantages(kind, groups, options).advantages);
  const sums = totals.flat().map((_, i) => columns.reduce((sum, { weight }, c) => sum + weight * own[c][i], 0));
  const { fracZeroStd, nanRewards } = groupAdvantages(kind, totals, options);
  if (options.whiten === false) return { advantages: sums, fracZeroStd, nanRewards };
  const spread = standardDeviation(sums) + (options.epsilon ?? 1e-4);
  return { advantages: centered(sums).map((a) => a / spread), fracZeroStd, nanRewards };
}

/** Weighted sums, NaN where no reward could be computed. @throws RangeError for columns of unlike shapes */
export function weightedSums(columns: readonly RewardColumn[]): number[][] {
  if (columns.length === 0) throw new RangeError('there are no rewards to sum');
  const [first] = columns;
  for (const { groups } of columns) {
    if (groups.map(({ length }) => length).join() !== first.groups.map(({ length }) => length).join())
      throw new RangeError('the lists of rewards differ in length: each needs one number a sample');
  }
  return first.groups.map((group, g) =>
    group.map((_, i) => {
      const there = columns.filter(({ groups }) => !isMissing(groups[g][i]));
      if (there.length === 0) return NaN;
      return there.reduce((sum, { groups, weight }) => sum + weight * (groups[g][i] as number), 0);
    }),
  );
}

export function isMissing(reward: MaybeReward): boolean {
  return reward === null || reward === undefined || Number.isNaN(reward);
}

/** The rewards that are there. @throws RangeError for an infinite one, or what is no number */
export function scoredOf(group: readonly MaybeReward[], g = 0): number[] {
  return group.flatMap((r, i) => {
    if (isMissing(r)) return [];
    if (typeof r !== 'number' || !Number.isFinite(r))
      throw new RangeError(`reward ${i} of group ${g} is ${String(r)}; it must be finite, or NaN where scoring failed`);
    return [r];
  });
}

/** Whether rewards teach nothing. */
export function isFlat(rewards: readonly number[]): boolean {
  return standardDeviation(rewards) < 1e-8;
}

/** NaN for an empty list. Exact for equal numbers: sums are taken of differences from the first. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) return NaN;
  const [first] = values;
  return first + values.reduce((sum, v) => sum + (v - first), 0) / values.length;
}

/** Over n - 1, or over n when `population`; 0 for fewer than two values. */
export function standardDeviation(values: readonly number[], population = false): number {
  if (values.length < 2) return 0;
  const scale = powerOfTwoAbove(values);
  const center = mean(values.map((v) => v / scale));
  const squares = values.reduce((sum, v) => sum + (v / scale - center) ** 2, 0);
  return Math.sqrt(squares / (population ? values.length : values.length - 1)) * scale;
}

/** A power of two that no value lies far above; 1 for ordinary numbers. */
function powerOfTwoAbove(values: readonly number[]): number {
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return largest > 1e6 ? 2 ** Math.min(1023, Math.ceil(Math.log2(largest))) : 1;
}
