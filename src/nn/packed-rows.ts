/**
 * Several continuations of one beginning in one row (questions about one image, say): each sees the beginning and
 * itself, and stands at the positions that it would have alone. The numbers are those of separate rows; the beginning,
 * which is most of such a row, is computed once.
 */
import type { Rng } from '../engine';

/** Label of what is not scored. */
export const IGNORE = -100;

/** A question and its answer, as ids. */
export interface Turn {
  /** At least one id: the last one predicts the answer's first. */
  readonly question: readonly number[];
  readonly answer: readonly number[];
  /** Places in the answer that are read but not scored. Default: all of it is scored. */
  readonly unscored?: readonly number[];
}

export interface PackedRow {
  readonly ids: readonly number[];
  /** What is scored (shifted by one); {@link IGNORE} elsewhere. */
  readonly labels: readonly number[];
  /** Where each token stands. */
  readonly positions: readonly number[];
  /** First token of the turn that a token belongs to; 0 in the shared beginning. */
  readonly starts: readonly number[];
  /** Tokens of the beginning that every turn sees. */
  readonly shared: number;
  /** The tokens of the beginning see each other, later ones too. Default: each sees those before it. */
  readonly mutual?: boolean;
}

/**
 * `beginning`, then for each turn its question, answer and the id that ends it; answers and ends are scored.
 * @throws RangeError for a turn without a question
 */
export function packTurns(
  beginning: readonly number[],
  turns: readonly Turn[],
  end: number,
  mutual = false,
): PackedRow {
  const row = {
    ids: [...beginning],
    labels: beginning.map(() => IGNORE),
    positions: beginning.map((_, i) => i),
    starts: beginning.map(() => 0),
  };
  for (const { question, answer, unscored } of turns) {
    if (question.length === 0) throw new RangeError('a turn needs a question: nothing else predicts its answer');
    const start = row.ids.length;
    const turn = [...question, ...answer, end];
    row.ids.push(...turn);
    row.labels.push(
      ...question.map(() => IGNORE),
      ...answer.map((id, i) => (unscored?.includes(i) ? IGNORE : id)),
      end,
    );
    row.positions.push(...turn.map((_, i) => beginning.length + i));
    row.starts.push(...turn.map(() => start));
  }
  return { ...row, shared: beginning.length, mutual };
}

/**
 * Rows of one length, padded on the right; pads belong to the last turn, and nothing scored sees them.
 * @param length default: the longest row's
 * @throws RangeError for a row that is longer
 */
export function padRows(rows: readonly PackedRow[], pad: number, length = longestOf(rows)): PackedRow[] {
  return rows.map((row) => {
    if (row.ids.length > length)
      throw new RangeError(`a row has ${row.ids.length} tokens, there is room for ${length}`);
    const more = (list: readonly number[], value: number) => [
      ...list,
      ...new Array<number>(length - list.length).fill(value),
    ];
    return {
      ...row,
      ids: more(row.ids, pad),
      labels: more(row.labels, IGNORE),
      positions: more(row.positions, row.positions[row.positions.length - 1]),
      starts: more(row.starts, row.starts[row.starts.length - 1]),
    };
  });
}

/** Tokens of the longest row. */
export function longestOf(rows: readonly { readonly ids: readonly number[] }[]): number {
  return Math.max(...rows.map(({ ids }) => ids.length));
}

/** Which token sees which, `[tokens * tokens]`, row = query, 1 = may: the beginning, and its own turn up to itself. */
export function packedMask({ ids, shared, mutual, starts }: PackedRow): Uint8Array {
  const n = ids.length;
  const mask = new Uint8Array(n * n);
  for (let q = 0; q < n; q++) {
    const at = q * n;
    mask.fill(1, at, at + (mutual ? shared : Math.min(q + 1, shared)));
    if (q >= shared) mask.fill(1, at + starts[q], at + q + 1);
  }
  return mask;
}

/** Tokens that rows score. */
export function scoredCount(rows: readonly PackedRow[]): number {
  return rows.reduce((sum, { labels }) => sum + labels.filter((label, i) => i > 0 && label !== IGNORE).length, 0);
}

/** Of rows of one length: the places (in the flattened batch) whose next token is scored, and those tokens. */
export function scoredOf(rows: readonly PackedRow[]): { at: number[]; targets: number[] } {
  const at: number[] = [];
  const targets: number[] = [];
  rows.forEach(({ ids, labels }, b) =>
    labels.forEach((label, i) => {
      if (label === IGNORE || i === 0) return;
      at.push(b * ids.length + i - 1);
      targets.push(label);
    }),
  );
  return { at, targets };
}

/**
 * Replaces words of answers by words of other answers, in the ids alone.
 * @param questions the chance for words of the turns' questions. Default 0
 */
export function withWordNoise(rows: readonly PackedRow[], chance: number, rng: Rng, questions = 0): PackedRow[] {
  const said = rows.flatMap((row) => row.labels.filter((label) => label >= 0));
  return rows.map((row) => ({
    ...row,
    ids: row.ids.map((id, i) => {
      // A turn's first token says what kind of turn it is.
      const p = row.labels[i] >= 0 ? chance : i >= row.shared && i > row.starts[i] ? questions : 0;
      return rng.uniform() < p ? rng.pick(said) : id;
    }),
  }));
}
