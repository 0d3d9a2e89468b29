/**
 * Several questions about one picture (or one text) in one row: each turn sees the shared beginning and itself, and
 * stands at the positions that it would have alone. The numbers are those of separate rows; the picture, which is most
 * of such a row, is computed once.
 */
import { tf } from '../../engine';
import type { Parameters } from '../../nn/parameters';
import type { JanusConfig } from './config';
import { IGNORE } from './layout';
import type { JanusModel } from './model';

/** A question and its answer, as ids. */
export interface Turn {
  /** At least one id: the last one predicts the answer's first. */
  readonly question: readonly number[];
  readonly answer: readonly number[];
}

export interface PackedRow {
  readonly ids: readonly number[];
  /** What is scored (shifted by one); IGNORE elsewhere. */
  readonly labels: readonly number[];
  readonly positions: readonly number[];
  /** First token of the turn that a token belongs to; 0 in the shared beginning. */
  readonly starts: readonly number[];
  /** Tokens of the beginning that every turn sees. */
  readonly shared: number;
}

/**
 * `beginning`, then for each turn its question, answer and end token; answers and end tokens are scored.
 * @param beginning as `understandingIds` and `textIds` lay it out
 * @throws RangeError for a turn without a question, or one that ends beyond the model's positions
 */
export function packTurns(
  { tokens, text }: JanusConfig,
  beginning: readonly number[],
  turns: readonly Turn[],
): PackedRow {
  const row = {
    ids: [...beginning],
    labels: beginning.map(() => IGNORE),
    positions: beginning.map((_, i) => i),
    starts: beginning.map(() => 0),
  };
  for (const { question, answer } of turns) {
    const start = row.ids.length;
    const turn = [...question, ...answer, tokens.eos];
    if (question.length === 0) throw new RangeError('a turn needs a question: nothing else predicts the answer');
    if (beginning.length + turn.length > text.max_position_embeddings)
      throw new RangeError(`a turn ends at position ${beginning.length + turn.length}; this model has ${text.max_position_embeddings}`); // prettier-ignore
    row.ids.push(...turn);
    row.labels.push(...question.map(() => IGNORE), ...answer, tokens.eos);
    row.positions.push(...turn.map((_, i) => beginning.length + i));
    row.starts.push(...turn.map(() => start));
  }
  return { ...row, shared: beginning.length };
}

/**
 * Logits over the vocabulary that predict the scored tokens of all rows, and those tokens, in order.
 * @param features for the placeholders in the rows, in order
 * @returns logits `[scored, vocab]`
 */
export function packedLogits(
  model: JanusModel,
  rows: readonly PackedRow[],
  features?: tf.Tensor3D,
  p: Parameters = model.parameters,
): { logits: tf.Tensor2D; targets: number[] } {
  const length = Math.max(...rows.map((row) => row.ids.length));
  const padded = rows.map((row) => padRow(row, length, model.config.tokens.pad));
  const at: number[] = [];
  const targets: number[] = [];
  padded.forEach(({ labels }, b) =>
    labels.forEach((label, i) => {
      if (label === IGNORE) return;
      at.push(b * length + i - 1);
      targets.push(label);
    }),
  );
  const logits = tf.tidy(() => {
    const embeds = model.embed(padded.map((row) => row.ids), features, p); // prettier-ignore
    const hidden = model.hidden(embeds, { mask: packedMask(padded), positions: padded.map((row) => row.positions) }, p);
    // Only scored positions reach the output layer.
    return model.textLogits(tf.gather(tf.reshape<tf.Rank.R2>(hidden, [rows.length * length, -1]), tf.tensor1d(at, 'int32')), p); // prettier-ignore
  });
  return { logits, targets };
}

/** Pads on the right belong to the last turn; nothing scored sees them. */
function padRow(row: PackedRow, length: number, pad: number): PackedRow {
  const missing = length - row.ids.length;
  const more = (list: readonly number[], value: number) => [...list, ...new Array<number>(missing).fill(value)];
  return {
    ...row,
    ids: more(row.ids, pad),
    labels: more(row.labels, IGNORE),
    positions: more(row.positions, 0),
    starts: more(row.starts, row.starts[row.starts.length - 1]),
  };
}

/** A token sees what stands before it in the shared beginning and in its own turn. @returns `[rows, 1, tokens, tokens]` */
function packedMask(rows: readonly PackedRow[]): tf.Tensor4D {
  const n = rows[0].ids.length;
  const out = new Float32Array(rows.length * n * n).fill(-1e9);
  rows.forEach(({ shared, starts }, b) => {
    for (let q = 0; q < n; q++) {
      const at = (b * n + q) * n;
      out.fill(0, at, at + Math.min(shared, q + 1));
      if (q >= shared) out.fill(0, at + starts[q], at + q + 1);
    }
  });
  return tf.tensor4d(out, [rows.length, 1, n, n]);
}
