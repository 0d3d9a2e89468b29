/**
 * Rewards that are the cosine of two features: BER (prompt and image), DER (image and reference images), FER
 * (face and reference faces). The paper prints 1 - cosine and calls it a reward; a reward it is only the other way.
 */
import type { Score } from './reward';

/** A feature vector, or why there is none. */
export type Feature = Float32Array | { readonly missing: string };

export interface FeatureCosine {
  /** One feature a sample, of what was made. */
  readonly of: readonly Feature[];
  /** One or more features a sample, of what it should be like; the mean of the cosines counts. */
  readonly like: readonly (readonly Feature[])[];
  /** The value where a feature is missing; default NaN. FER: 0, no face is the worst face. */
  readonly missingValue?: number;
}

/** Mean cosine of each sample's feature with those that it should be like. */
export function featureCosines({ of, like, missingValue = NaN }: FeatureCosine): Score[] {
  return of.map((own, i) => compare(own, like[i], missingValue));
}

function compare(own: Feature, others: readonly Feature[], missingValue: number): Score {
  if ('missing' in own) return { value: missingValue, reason: own.missing };
  const there = others.filter((other): other is Float32Array => !('missing' in other));
  if (there.length === 0) {
    const why = others.find((other): other is { missing: string } => 'missing' in other)?.missing;
    return { value: NaN, reason: `nothing to compare with${why ? `: ${why}` : ''}` };
  }
  const cosines = there.map((other) => cosine(own, other));
  return { value: cosines.reduce((a, b) => a + b, 0) / cosines.length };
}

export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new RangeError(`features of ${a.length} and ${b.length} numbers cannot be compared`);
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}
