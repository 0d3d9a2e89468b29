/** The weighted sum of several scorers. */
import { type ScoreResult, type Scorer, scoreSafely } from './scorer';

export interface WeightedScorer<S> {
  readonly scorer: Scorer<S>;
  readonly weight: number;
}

export interface EnsembleOptions {
  /** Default `reward`. */
  name?: string;
  /**
   * What a sum does when a scorer could not score a sample: `leave_out` (default, as TRL) adds up the others;
   * `rescale` also divides by the share of weight that was there.
   */
  missing?: 'leave_out' | 'rescale';
}

/** A scorer that can tell how often its parts failed. */
export interface Ensemble<S> extends Scorer<S> {
  readonly weights: Readonly<Record<string, number>>;
}

/**
 * R = sum of weight x value. Each result's `parts` are the scorers' own values (NaN where one failed) and its `reason`
 * says which failed and why; the sum is NaN only when all failed. Scorers whose lower values are better are subtracted.
 * @throws RangeError for no scorers, two of one name, or a weight that is not a finite number
 */
export function ensemble<S>(scorers: readonly WeightedScorer<S>[], options: EnsembleOptions = {}): Ensemble<S> {
  const { name = 'reward', missing = 'leave_out' } = options;
  if (scorers.length === 0) throw new RangeError('an ensemble needs at least one scorer');
  const names = scorers.map(({ scorer }) => scorer.name);
  const twice = names.find((n, i) => names.indexOf(n) !== i);
  if (twice !== undefined) throw new RangeError(`two scorers are named '${twice}'`);
  for (const { scorer, weight } of scorers) {
    if (!Number.isFinite(weight)) throw new RangeError(`the weight of '${scorer.name}' is ${weight}`);
  }
  // A weight of 0 switches a scorer off: an ablation should not pay for it.
  const active = scorers.filter(({ weight }) => weight !== 0);
  const signed = active.map(({ scorer, weight }) => (scorer.higherIsBetter ? weight : -weight));
  const ends = active.map(({ scorer }, i) => scorer.range.map((end) => end * signed[i]).sort((a, b) => a - b));
  return {
    name,
    weights: Object.fromEntries(scorers.map(({ scorer, weight }) => [scorer.name, weight])),
    range: [ends.reduce((sum, [low]) => sum + low, 0), ends.reduce((sum, [, high]) => sum + high, 0)],
    higherIsBetter: true,
    async score(samples) {
      const results: ScoreResult[][] = [];
      for (const { scorer } of active) results.push(await scoreSafely(scorer, samples)); // one after another: each fills the machine
      return samples.map((_, s) => {
        const own = results.map((list) => list[s]);
        return combine(active.map(({ scorer }) => scorer.name), own, signed, missing); // prettier-ignore
      });
    },
  };
}

function combine(
  names: readonly string[],
  own: readonly ScoreResult[],
  weights: readonly number[],
  missing: 'leave_out' | 'rescale',
): ScoreResult {
  const there = own.map((result) => !Number.isNaN(result.value));
  const total = weights.reduce((sum, w) => sum + Math.abs(w), 0);
  const present = weights.reduce((sum, w, i) => sum + (there[i] ? Math.abs(w) : 0), 0);
  const sum = own.reduce((acc, result, i) => acc + (there[i] ? weights[i] * result.value : 0), 0);
  const scale = missing === 'rescale' && present > 0 ? total / present : 1;
  const reasons = own.flatMap((result, i) => (result.reason ? [`${names[i]}: ${result.reason}`] : []));
  return {
    value: present > 0 ? sum * scale : NaN,
    parts: Object.fromEntries(own.map((result, i) => [names[i], result.value])),
    ...(reasons.length > 0 ? { reason: reasons.join('; ') } : {}),
  };
}

/** Weights of TIER, BER, DER, FER (UniCTokens-R1, Sec. 4): people have a face to be told by, animals and objects have not. */
export const unictokensWeights = {
  people: { tier: 0.4, ber: 0.2, der: 0.2, fer: 0.2 },
  others: { tier: 0.4, ber: 0.3, der: 0.3, fer: 0 },
} as const;
