/** TIER: whether the reasoning names the right one of the concept's facts (UniCTokens-R1, Eq. 3). */
import type { ScoreResult, Scorer } from './scorer';

/** Sentences to vectors whose cosine says how alike they are. Frozen. */
export interface SentenceEmbedder {
  readonly name: string;
  /** Length of a vector. */
  readonly size: number;
  /** One unit vector a sentence. */
  embed(sentences: readonly string[]): Promise<Float32Array[]>;
}

/** What TIER needs of a sample. */
export interface TierSample {
  /** IR, the understanding part of the trajectory. */
  readonly reasoning: string;
  /** What it is to be told apart from: the concept's facts, or the same question's answers for other concepts. */
  readonly items: readonly string[];
  /** Index of the right item. */
  readonly correct: number;
}

export interface TierOptions {
  /** (2 - d) / 2 as printed, which assumes d <= 2: true for at most 4 items. Default false: 1 - d / sqrt(items). */
  asPrinted?: boolean;
}

/**
 * TIER of similarities: q_j = cos(E(IR), E(item j)), d = ||q - onehot(correct)||; 1 - d / sqrt(l) for l items, which is
 * 1 for a perfect match and equals the printed (2 - d) / 2 at l = 4.
 * @throws RangeError for no items, or a `correct` that is none of them
 */
export function tier(similarities: readonly number[], correct: number, options: TierOptions = {}): number {
  const count = similarities.length;
  if (count === 0) throw new RangeError('TIER needs at least one item');
  if (!Number.isInteger(correct) || correct < 0 || correct >= count) {
    throw new RangeError(`the correct item is number ${correct} of ${count}`);
  }
  const squares = similarities.reduce((sum, q, j) => sum + (q - (j === correct ? 1 : 0)) ** 2, 0);
  const distance = Math.sqrt(squares);
  return options.asPrinted ? (2 - distance) / 2 : 1 - distance / Math.sqrt(count);
}

/** TIER as a scorer; `parts` hold the similarity to the right item and the largest to a wrong one. */
export function tierScorer(embedder: SentenceEmbedder, options: TierOptions = {}): Scorer<TierSample> {
  return {
    name: 'tier',
    // Cosines are at least -1: every q at its worst gives d = sqrt(4 + (l - 1)), and 1 - d / sqrt(l) >= -1 for l >= 1.
    range: [-1, 1],
    higherIsBetter: true,
    async score(samples) {
      const sentences = [...new Set(samples.flatMap((sample) => [sample.reasoning, ...sample.items]))].filter(
        (s) => s.trim() !== '',
      );
      const vectors = sentences.length > 0 ? await embedder.embed(sentences) : [];
      const vectorOf = new Map(sentences.map((sentence, i) => [sentence, vectors[i]]));
      return samples.map((sample) => scoreOne(sample, vectorOf, options));
    },
  };
}

function scoreOne(sample: TierSample, vectorOf: ReadonlyMap<string, Float32Array>, options: TierOptions): ScoreResult {
  if (sample.items.length === 0) return { value: NaN, reason: 'there are no items to tell apart' };
  const own = vectorOf.get(sample.reasoning);
  // Nothing said is like nothing: every cosine is 0.
  const similarities = sample.items.map((item) => {
    const other = vectorOf.get(item);
    return own && other ? dot(own, other) : 0;
  });
  const right = similarities[sample.correct];
  const wrong = Math.max(...similarities.filter((_, j) => j !== sample.correct), -1);
  return {
    value: tier(similarities, sample.correct, options),
    parts: { right, wrong },
    ...(own ? {} : { reason: 'the reasoning is empty' }),
  };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + v * b[i], 0);
}
