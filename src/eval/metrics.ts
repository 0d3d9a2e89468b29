/** Small metrics that need no model. */

/** Mean pairwise cosine of two sets of vectors, -1 to 1 (CLIP-I, CLIP-T, DINO: over features, unscaled). @throws RangeError for an empty set or sizes that differ */
export function meanPairwiseCosine(a: readonly ArrayLike<number>[], b: readonly ArrayLike<number>[]): number {
  if (a.length === 0 || b.length === 0) throw new RangeError('a mean cosine needs at least one vector on each side');
  let sum = 0;
  for (const x of a) for (const y of b) sum += cosine(x, y);
  return sum / (a.length * b.length);
}

/** Cosine of two vectors; 0 when one of them is 0. @throws RangeError for lengths that differ */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`the vectors have ${a.length} and ${b.length} numbers`);
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}

/** UnifyBench++'s Rec: the mean of the recall on questions whose answer is yes and on those whose answer is no. @throws RangeError unless both occur */
export function balancedRecall(answers: readonly boolean[], truth: readonly boolean[]): number {
  if (answers.length !== truth.length)
    throw new RangeError(`there are ${answers.length} answers to ${truth.length} questions`);
  const recall = (kind: boolean): number => {
    const asked = truth.flatMap((t, i) => (t === kind ? [answers[i] === kind] : []));
    if (asked.length === 0)
      throw new RangeError(`no question has the answer ${kind ? 'yes' : 'no'}; recall needs both kinds`);
    return asked.filter(Boolean).length / asked.length;
  };
  return (recall(true) + recall(false)) / 2;
}

/** Whether an answer is the expected one: case, outer spaces and a final full stop do not count. */
export function exactMatch(answer: string, expected: string): boolean {
  const plain = (text: string): string => {
    const unended = text
      .trim()
      .toLowerCase()
      .replace(/[.\s]+$/, '');
    return unended.replace(/\s+/g, ' ');
  };
  return plain(answer) === plain(expected);
}
