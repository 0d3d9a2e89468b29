/** Counting n-grams. */

/** How often each n-gram of `n` tokens occurs. */
export function countNgrams(tokens: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= tokens.length; i++) {
    const key = JSON.stringify(tokens.slice(i, i + n)); // tokens may hold any character: no separator is safe
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Matches of a hypothesis, each n-gram counted at most as often as the reference that has most of it. */
export function clippedMatches(hypothesis: Map<string, number>, references: readonly Map<string, number>[]): number {
  let matches = 0;
  for (const [key, count] of hypothesis) {
    matches += Math.min(count, Math.max(...references.map((reference) => reference.get(key) ?? 0)));
  }
  return matches;
}

/** The reference length nearest to the hypothesis's; the shorter one of two as near. */
export function closestLength(hypothesis: number, references: readonly number[]): number {
  return [...references].sort((a, b) => Math.abs(a - hypothesis) - Math.abs(b - hypothesis) || a - b)[0];
}
