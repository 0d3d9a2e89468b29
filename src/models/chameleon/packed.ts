/**
 * Several continuations of one beginning in one row (questions about one picture, say): each sees the beginning and
 * itself, and stands at the positions that it would have alone. The numbers are those of separate rows; the beginning,
 * which is most of such a row, is computed once.
 */
import { tf } from '../../engine';
import { BLOCKED } from '../../nn/causal-mask';
import type { Parameters } from '../../nn/parameters';
import { IGNORE, type Labelled } from './layout';
import type { ChameleonModel } from './model';
import { chameleonLogits } from './transformer';

/** A question and its answer, as ids. */
export interface Turn {
  readonly question: readonly number[];
  readonly answer: readonly number[];
}

export interface PackedRow extends Labelled {
  readonly positions: readonly number[];
  /** First token of the turn that a token belongs to; 0 in the shared beginning. */
  readonly starts: readonly number[];
  /** Tokens of the beginning that every turn sees. */
  readonly shared: number;
}

/** A row of one sequence. */
export function plainRow({ ids, labels }: Labelled): PackedRow {
  return { ids, labels, positions: ids.map((_, i) => i), starts: ids.map(() => 0), shared: ids.length };
}

/**
 * `beginning`, then for each turn its question, answer and the id that ends it; answers and ends are scored.
 * @throws RangeError for a turn without a question
 */
export function packTurns(beginning: readonly number[], turns: readonly Turn[], end: number): PackedRow {
  const row = {
    ids: [...beginning],
    labels: beginning.map(() => IGNORE),
    positions: beginning.map((_, i) => i),
    starts: beginning.map(() => 0),
    shared: beginning.length,
  };
  for (const { question, answer } of turns) {
    if (question.length === 0) throw new RangeError('a turn needs a question: nothing else predicts its answer');
    const start = row.ids.length;
    const turn = [...question, ...answer, end];
    row.ids.push(...turn);
    row.labels.push(...question.map(() => IGNORE), ...answer, end);
    row.positions.push(...turn.map((_, i) => beginning.length + i));
    row.starts.push(...turn.map(() => start));
  }
  return row;
}

/**
 * Logits over the vocabulary that predict the scored tokens of all rows (shifted by one), and those tokens, in order.
 * @returns logits `[scored, vocab]`
 * @throws RangeError when nothing is scored
 */
export function packedLogits(
  model: ChameleonModel,
  rows: readonly PackedRow[],
  parameters: Parameters = model.parameters,
): { logits: tf.Tensor2D; targets: number[] } {
  const length = Math.max(...rows.map((row) => row.ids.length));
  const at: number[] = [];
  const targets: number[] = [];
  rows.forEach(({ labels }, b) =>
    labels.forEach((label, i) => {
      if (label === IGNORE || i === 0) return;
      at.push(b * length + i - 1);
      targets.push(label);
    }),
  );
  if (targets.length === 0) throw new RangeError('nothing of these rows is scored');
  const logits = tf.tidy(() => {
    const fill = (row: readonly number[], filler: number) => [
      ...row,
      ...new Array<number>(length - row.length).fill(filler),
    ];
    const ids = rows.map((row) => fill(row.ids, model.vocabulary.pad));
    // Sequences of their own need neither mask nor positions: the decoder's are theirs.
    const own = rows.every((row) => row.shared === row.ids.length);
    const seen = own ? {} : { positions: rows.map((row) => fill(row.positions, 0)), mask: packedMask(rows, length) };
    const hidden = model.hidden(ids, seen, parameters);
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, model.config.text.hidden_size]);
    return chameleonLogits(parameters, tf.gather(flat, tf.tensor1d(at, 'int32')));
  });
  return { logits, targets };
}

/** A token sees what stands before it in the shared beginning and in its own turn. @returns `[rows, 1, length, length]` */
function packedMask(rows: readonly PackedRow[], length: number): tf.Tensor4D {
  const mask = new Float32Array(rows.length * length * length).fill(BLOCKED);
  rows.forEach(({ ids, starts, shared }, b) => {
    for (let q = 0; q < length; q++) {
      const from = (b * length + q) * length;
      // Padding sees itself alone: a row of nothing but blocked scores would average over everything.
      if (q >= ids.length) mask[from + q] = 0;
      else {
        mask.fill(0, from, from + Math.min(q + 1, shared));
        if (q >= shared) mask.fill(0, from + starts[q], from + q + 1);
      }
    }
  });
  return tf.tensor4d(mask, [rows.length, 1, length, length]);
}
