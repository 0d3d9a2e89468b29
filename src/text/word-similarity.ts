/** How alike words and phrases are: the ratio of matching blocks, and Jaccard's index with credit for nearly equal words. */
import { splitWords } from './python-classes';

/**
 * 2 M / (length of a + length of b) in code points, where M counts what the longest common block and, left and right of
 * it, further ones cover (Ratcliff and Obershelp; Python's `difflib`, without its junk). Of blocks of one length the
 * earliest in a, then in b, is taken, so the ratio is not symmetric. Two empty words: 1.
 */
export function blockRatio(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  const total = left.length + right.length;
  if (total === 0) return 1;
  let matched = 0;
  const open: [string[], string[]][] = [[left, right]];
  for (let pair = open.pop(); pair; pair = open.pop()) {
    const [x, y] = pair;
    const { atX, atY, length } = longestBlock(x, y);
    if (length === 0) continue;
    matched += length;
    open.push([x.slice(0, atX), y.slice(0, atY)], [x.slice(atX + length), y.slice(atY + length)]);
  }
  return (2 * matched) / total;
}

function longestBlock(x: readonly string[], y: readonly string[]): { atX: number; atY: number; length: number } {
  const best = { atX: 0, atY: 0, length: 0 };
  let before = new Int32Array(y.length + 1);
  for (let i = 0; i < x.length; i++) {
    // Entry j + 1: the length of the block that ends with x[i] and y[j].
    const ending = new Int32Array(y.length + 1);
    for (let j = 0; j < y.length; j++) {
      if (x[i] !== y[j]) continue;
      const length = (ending[j + 1] = before[j] + 1);
      if (length > best.length) Object.assign(best, { atX: i - length + 1, atY: j - length + 1, length });
    }
    before = ending;
  }
  return best;
}

/**
 * Jaccard's index of the sets of words, in lower case, in [0, 1]. A word without its equal takes the most similar of the
 * other phrase's words that are left, and counts as much as they are alike, if that is at least `threshold` (0.8).
 * Words choose in the order in which they stand in `phrase`.
 */
export function softJaccard(phrase: string, other: string, threshold = 0.8): number {
  const own = new Set(splitWords(phrase.toLowerCase()));
  const others = new Set(splitWords(other.toLowerCase()));
  const equal = [...own].filter((word) => others.has(word));
  const left = new Set([...others].filter((word) => !own.has(word)));
  let shared = equal.length;
  for (const word of own) {
    if (others.has(word)) continue;
    let best = 0;
    let taken: string | undefined;
    for (const candidate of left) {
      const ratio = blockRatio(word, candidate);
      if (ratio >= threshold && ratio > best) [best, taken] = [ratio, candidate];
    }
    if (taken === undefined) continue;
    shared += best;
    left.delete(taken);
  }
  const union = own.size + others.size - shared;
  return union === 0 ? 0 : shared / union;
}
