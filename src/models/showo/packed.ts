/**
 * Several questions about one picture (or one text) in one row: each turn sees the shared beginning and itself, and
 * stands at the positions that it would have alone. The numbers are those of separate rows; the picture, which is most
 * of such a row, is computed once.
 */
import { tf } from '../../engine';
import { IGNORE, PromptTooLongError, understandingPrefix } from './layout';
import { type ShowoConfig, showoVocabulary } from './config';
import type { ShowoModel } from './model';
import { showoLogits } from './transformer';

export interface PackedTurn {
  readonly question: readonly number[];
  readonly answer: readonly number[];
}

/** Ids of a row, what is scored (shifted by one), where each token stands, and where its turn and the shared part end. */
export interface PackedRow {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
  readonly positions: readonly number[];
  /** Length of the part that every turn sees. */
  readonly shared: number;
  /** The shared part is a picture's: its tokens see each other. */
  readonly picture: boolean;
  /** First token of the turn that a token belongs to; 0 for shared ones. */
  readonly starts: readonly number[];
}

/** `mmu soi codes eoi` and then, for each turn, `sot question answer eot`. */
export function packPicture(config: ShowoConfig, codes: ArrayLike<number>, turns: readonly PackedTurn[]): PackedRow {
  const shared = understandingPrefix(config, codes, []).slice(0, -1);
  const { sot } = showoVocabulary(config);
  return pack(config, shared, true, turns.map((turn) => ({ ...turn, question: [sot, ...turn.question] }))); // prettier-ignore
}

/** `sot text` and then, for each turn, `question answer eot`. */
export function packText(config: ShowoConfig, text: readonly number[], turns: readonly PackedTurn[]): PackedRow {
  return pack(config, [showoVocabulary(config).sot, ...text], false, turns);
}

function pack(
  config: ShowoConfig,
  shared: readonly number[],
  picture: boolean,
  turns: readonly PackedTurn[],
): PackedRow {
  const { eot } = showoVocabulary(config);
  const row = {
    ids: [...shared],
    labels: shared.map(() => IGNORE),
    positions: shared.map((_, i) => i),
    starts: shared.map(() => 0),
  };
  for (const { question, answer } of turns) {
    const start = row.ids.length;
    if (question.length === 0)
      throw new RangeError('a turn without a question has no token of its own that could predict its answer');
    const turn = [...question, ...answer, eot];
    row.ids.push(...turn);
    row.labels.push(...question.map(() => IGNORE), ...answer, eot);
    row.positions.push(...turn.map((_, i) => shared.length + i));
    row.starts.push(...turn.map(() => start));
  }
  return { ...row, shared: shared.length, picture };
}

/** The row on `length` tokens, padded on the right; pads belong to the last turn and nothing scored sees them. */
export function padRow(row: PackedRow, length: number, pad: number): PackedRow {
  const missing = length - row.ids.length;
  if (missing < 0)
    throw new PromptTooLongError(`the row has ${row.ids.length} tokens, ${length} were expected at most`);
  const more = <T>(list: readonly T[], value: T) => [...list, ...new Array<T>(missing).fill(value)];
  return {
    ...row,
    ids: more(row.ids, pad),
    labels: more(row.labels, IGNORE),
    positions: more(row.positions, row.positions[row.positions.length - 1]),
    starts: more(row.starts, row.starts[row.starts.length - 1]),
  };
}

/** Which token sees which, `[tokens * tokens]`, row = query: the shared part, and what stands before it in its own turn. */
export function packedMask({ ids, shared, picture, starts }: PackedRow): Uint8Array {
  const n = ids.length;
  const mask = new Uint8Array(n * n);
  for (let q = 0; q < n; q++) {
    const at = q * n;
    if (q < shared) mask.fill(1, at, at + (picture ? shared : q + 1));
    else {
      mask.fill(1, at, at + shared);
      mask.fill(1, at + starts[q], at + q + 1);
    }
  }
  return mask;
}

/** Logits over the whole vocabulary that predict the scored tokens, `[scored, vocab]`, and those tokens, in order. */
export function packedLogits(
  model: ShowoModel,
  rows: readonly PackedRow[],
): { logits: tf.Tensor2D; targets: number[] } {
  const length = Math.max(...rows.map((row) => row.ids.length));
  const padded = rows.map((row) => padRow(row, length, model.vocabulary.pad));
  const at: number[] = [];
  const targets: number[] = [];
  padded.forEach((row, b) => {
    row.labels.forEach((label, i) => {
      if (label === IGNORE) return;
      at.push(b * length + i - 1);
      targets.push(label);
    });
  });
  const logits = tf.tidy(() => {
    const hidden = model.hidden(
      padded.map((row) => row.ids),
      padded.map(packedMask),
      model.parameters,
      model.extra,
      padded.map((row) => row.positions),
    );
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, model.config.hidden_size]);
    return showoLogits(model.parameters, tf.gather(flat, tf.tensor1d(at, 'int32')), model.extra);
  });
  return { logits, targets };
}
