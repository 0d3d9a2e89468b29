/** Which candidates are finished: those above the threshold, and the best of the rest when too few are. */

export interface SelectOptions {
  /** T: a candidate passes when its early score is above it. */
  threshold: number;
  /** G: how many are to be finished. */
  groupSize: number;
  /** TPR, default 0.25; sets the default of `maxCandidates`. */
  targetPassRate?: number;
  /** At most so many candidates are looked at before the best of the rest are taken. Default 4 G / TPR. */
  maxCandidates?: number;
}

export interface Selection {
  /** Indices into the scores, G of them when `enough`: those that passed in their order, then the best of the rest. */
  readonly selected: readonly number[];
  /** Whether the group is full; otherwise more candidates are to be sampled and the whole list given again. */
  readonly enough: boolean;
  /** How many of `selected` did not pass: taken because `maxCandidates` was reached. Worth logging. */
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
