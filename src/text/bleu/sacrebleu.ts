/** `sacrebleu`: the numbers of the Python package of that name (checked against 2.6.0). */
import { clippedMatches, closestLength, countNgrams } from './ngrams';
import { splitWords } from '../python-classes';
import { type BleuTokenizer, tokenize } from './tokenizers';

export interface SacrebleuOptions {
  /** Default `13a`. */
  tokenizer?: BleuTokenizer;
  /** Default false. */
  lowercase?: boolean;
}

export interface SacrebleuScore {
  /** 0 to 100 (and, as in the package, a rounding step above). */
  readonly score: number;
  /** In percent, after smoothing, for 1- to 4-grams. */
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  readonly counts: readonly number[];
  readonly totals: readonly number[];
}

const orders = [1, 2, 3, 4];

interface Statistics {
  counts: number[];
  totals: number[];
  length: number;
  referenceLength: number;
}

/**
 * BLEU of one sentence: smoothing `exp`, effective order (only n-gram orders that the hypothesis has).
 * @param references one or more
 * @throws RangeError without a reference
 */
export function sacrebleu(
  hypothesis: string,
  references: string | readonly string[],
  options: SacrebleuOptions = {},
): SacrebleuScore {
  return score(statistics(hypothesis, references, options), true);
}

/** BLEU of a whole set: statistics are added up first; no effective order. @throws RangeError for lists of unequal length */
export function corpusSacrebleu(
  hypotheses: readonly string[],
  references: readonly (string | readonly string[])[],
  options: SacrebleuOptions = {},
): SacrebleuScore {
  if (hypotheses.length !== references.length || hypotheses.length === 0) {
    throw new RangeError(
      `there are ${hypotheses.length} hypotheses and ${references.length} references; one of each is needed`,
    );
  }
  const total: Statistics = { counts: [0, 0, 0, 0], totals: [0, 0, 0, 0], length: 0, referenceLength: 0 };
  for (const [i, hypothesis] of hypotheses.entries()) {
    const one = statistics(hypothesis, references[i], options);
    for (const n of orders.keys()) {
      total.counts[n] += one.counts[n];
      total.totals[n] += one.totals[n];
    }
    total.length += one.length;
    total.referenceLength += one.referenceLength;
  }
  return score(total, false);
}

function statistics(hypothesis: string, references: string | readonly string[], options: SacrebleuOptions): Statistics {
  const { tokenizer = '13a', lowercase = false } = options;
  const words = (text: string): string[] => splitWords(tokenize(lowercase ? text.toLowerCase() : text, tokenizer));
  const own = words(hypothesis);
  const others = (typeof references === 'string' ? [references] : references).map(words);
  if (others.length === 0) throw new RangeError('BLEU needs at least one reference');
  return {
    counts: orders.map((n) =>
      clippedMatches(
        countNgrams(own, n),
        others.map((other) => countNgrams(other, n)),
      ),
    ),
    totals: orders.map((n) => Math.max(0, own.length - n + 1)),
    length: own.length,
    referenceLength: closestLength(
      own.length,
      others.map((other) => other.length),
    ),
  };
}

function score({ counts, totals, length, referenceLength }: Statistics, effectiveOrder: boolean): SacrebleuScore {
  const brevityPenalty = length >= referenceLength ? 1 : length > 0 ? Math.exp(1 - referenceLength / length) : 0;
  const precisions = [0, 0, 0, 0];
  const result = { precisions, brevityPenalty, counts, totals };
  if (counts.every((c) => c === 0)) return { ...result, score: 0 };
  let order = orders.length;
  let smoothing = 1;
  for (const n of orders.keys()) {
    if (totals[n] === 0) break;
    if (effectiveOrder) order = n + 1;
    if (counts[n] === 0) smoothing *= 2; // "exp": each order without a match counts half as much as the one before
    precisions[n] = counts[n] === 0 ? 100 / (smoothing * totals[n]) : (100 * counts[n]) / totals[n];
  }
  const logs = precisions.slice(0, order).map((p) => (p === 0 ? -9999999999 : Math.log(p)));
  return { ...result, score: brevityPenalty * Math.exp(logs.reduce((a, b) => a + b, 0) / order) };
}
