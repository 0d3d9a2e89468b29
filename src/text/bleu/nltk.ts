/** NLTK's sentence BLEU with smoothing method 1, on words and (as UnifyBench++ computes it) on characters. */
import { clippedMatches, closestLength, countNgrams } from './ngrams';
import { splitWords } from '../python-classes';

/** What a numerator of 0 becomes: method 1's epsilon. */
const epsilon = 0.1;

/**
 * `nltk_word_4gram_method1`: 1- to 4-grams of words between white space, equal weights; 0 to 1.
 * @throws RangeError without a reference
 */
export function nltkBleu(hypothesis: string, references: string | readonly string[]): number {
  return methodOne(splitWords(hypothesis), list(references).map(splitWords), [0.25, 0.25, 0.25, 0.25]);
}

/**
 * `unifybench_char_07_03`: 1- and 2-grams of characters (Unicode code points, spaces too), weights 0.7 and 0.3; 0 to 1.
 * This is what UniCTokens' evaluation and rewards call BLEU.
 * @throws RangeError without a reference
 */
export function unifybenchBleu(hypothesis: string, references: string | readonly string[]): number {
  return methodOne(
    [...hypothesis],
    list(references).map((text) => [...text]),
    [0.7, 0.3],
  );
}

function list(references: string | readonly string[]): readonly string[] {
  return typeof references === 'string' ? [references] : references;
}

function methodOne(
  hypothesis: readonly string[],
  references: readonly (readonly string[])[],
  weights: readonly number[],
): number {
  if (references.length === 0) throw new RangeError('BLEU needs at least one reference');
  const precisions = weights.map((_, i) => {
    const n = i + 1;
    const matches = clippedMatches(
      countNgrams(hypothesis, n),
      references.map((reference) => countNgrams(reference, n)),
    );
    return { matches, total: Math.max(1, hypothesis.length - n + 1) };
  });
  if (precisions[0].matches === 0) return 0; // NLTK stops here, before it smooths
  const length = closestLength(
    hypothesis.length,
    references.map((reference) => reference.length),
  );
  const brevityPenalty = hypothesis.length >= length ? 1 : Math.exp(1 - length / hypothesis.length);
  const logs = precisions.map(
    ({ matches, total }, i) => weights[i] * Math.log((matches === 0 ? epsilon : matches) / total),
  );
  return brevityPenalty * Math.exp(logs.reduce((a, b) => a + b, 0));
}
