/** TIER: whether the reasoning names the right one of the concept's facts (UniCTokens-R1, Eq. 3). */
import { defineReward, type Reward, type RewardSample, type Score } from './reward';

/** Sentences to vectors whose cosine says how alike they are. Frozen. */
export interface SentenceEmbedder {
  /** `use_lite`, `ernie`: as it stands in logs. */
  readonly name: string;
  /** Length of a vector. */
  readonly size: number;
  /** One unit vector a sentence. */
  embed(sentences: readonly string[]): Promise<Float32Array[]>;
}

/** What TIER asks a task for. */
export interface TierTruth {
  /** What the answer is told apart from, the right one included: facts, or the same question's answers for others. */
  readonly candidates: readonly string[];
  /** Index of the right one. */
  readonly correct: number;
}

export interface TierOptions {
  /**
   * `normalized` (default): 1 - d / sqrt(l). `as_printed`: (2 - d) / 2, which assumes d <= 2, true for at most 4
   * candidates. `contrast`: the similarity to the right one less the mean of those to the others; the other two tell a
   * right answer what the embedder thinks of its neighbors (0.42 for "red" among colors).
   */
  readonly form?: 'normalized' | 'as_printed' | 'contrast';
}

/**
 * TIER of similarities: q_j = cos(E(IR), E(candidate j)), d = ||q - onehot(correct)||; 1 - d / sqrt(l) for l candidates,
 * which is 1 for a perfect match and equals the printed (2 - d) / 2 at l = 4 (UniCTokens-R1, Eq. 3).
 * @throws RangeError for no candidates, or a `correct` that is none of them
 */
export function tier(
  similarities: readonly number[],
  correct: number,
  { form = 'normalized' }: TierOptions = {},
): number {
  const count = similarities.length;
  if (count === 0) throw new RangeError('TIER needs at least one candidate');
  if (!Number.isInteger(correct) || correct < 0 || correct >= count)
    throw new RangeError(`the correct candidate is number ${correct} of ${count}`);
  if (form === 'contrast') {
    const others = similarities.filter((_, j) => j !== correct);
    return similarities[correct] - others.reduce((sum, q) => sum + q, 0) / Math.max(1, others.length);
  }
  const squares = similarities.reduce((sum, q, j) => sum + (q - (j === correct ? 1 : 0)) ** 2, 0);
  const distance = Math.sqrt(squares);
  return form === 'as_printed' ? (2 - distance) / 2 : 1 - distance / Math.sqrt(count);
}

/**
 * `tier_EMBEDDER`: the completion against the candidates; `parts` hold the similarity to the right one and the largest
 * to a wrong one. An empty completion is like nothing: every cosine is 0.
 */
export function tierReward(embedder: SentenceEmbedder, options: TierOptions = {}): Reward<TierTruth> {
  const { form = 'normalized' } = options;
  const name = form === 'normalized' ? `tier_${embedder.name}` : `tier_${form}_${embedder.name}`;
  // Cosines are at least -1: every q at its worst gives d = sqrt(4 + (l - 1)), and 1 - d / sqrt(l) >= -1 for l >= 1.
  return defineReward<TierTruth>(name, form === 'contrast' ? [-2, 2] : [-1, 1], async (samples) => {
    const sentences = new Set(samples.flatMap(({ completion, truth }) => [completion, ...truth.candidates]));
    const said = [...sentences].filter((sentence) => sentence.trim() !== '');
    const vectors = said.length > 0 ? await embedder.embed(said) : [];
    const vectorOf = new Map(said.map((sentence, i) => [sentence, vectors[i]]));
    return samples.map((sample) => scoreOne(sample, vectorOf, options));
  });
}

function scoreOne(
  { completion, truth: { candidates, correct } }: RewardSample<TierTruth>,
  vectorOf: ReadonlyMap<string, Float32Array>,
  options: TierOptions,
): Score {
  const own = vectorOf.get(completion);
  const similarities = candidates.map((candidate) => {
    const other = vectorOf.get(candidate);
    return own && other ? own.reduce((sum, v, i) => sum + v * other[i], 0) : 0;
  });
  try {
    const value = tier(similarities, correct, options);
    const wrong = Math.max(...similarities.filter((_, j) => j !== correct), -1);
    const parts = { right: similarities[correct], wrong };
    return own ? { value, parts } : { value, parts, reason: 'the completion is empty' };
  } catch (error) {
    return { value: NaN, reason: (error as Error).message }; // this sample's mistake costs it alone
  }
}
