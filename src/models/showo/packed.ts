/** Several questions about one image, or one text, in one row of Show-o: see `nn/packed-rows`. */
import { tf } from '../../engine';
import { packedMask, type PackedRow, packTurns, padRows, scoredOf, type Turn } from '../../nn/packed-rows';
import { type ShowoConfig, showoVocabulary } from './config';
import { understandingPrefix } from './layout';
import type { ShowoModel } from './model';
import { showoLogits } from './transformer';

/** `mmu soi codes eoi`, whose tokens see each other, and then, for each turn, `sot question answer eot`. */
export function packImage(config: ShowoConfig, codes: ArrayLike<number>, turns: readonly Turn[]): PackedRow {
  const { sot, eot } = showoVocabulary(config);
  const beginning = understandingPrefix(config, codes, []).slice(0, -1);
  return packTurns(beginning, turns.map((turn) => ({ ...turn, question: [sot, ...turn.question] })), eot, true); // prettier-ignore
}

/** `sot text` and then, for each turn, `question answer eot`. */
export function packText(config: ShowoConfig, text: readonly number[], turns: readonly Turn[]): PackedRow {
  const { sot, eot } = showoVocabulary(config);
  return packTurns([sot, ...text], turns, eot);
}

/** Logits over the whole vocabulary that predict the scored tokens, `[scored, vocab]`, and those tokens, in order. */
export function packedLogits(
  model: ShowoModel,
  rows: readonly PackedRow[],
): { logits: tf.Tensor2D; targets: number[] } {
  const padded = padRows(rows, model.vocabulary.pad);
  const { at, targets } = scoredOf(padded);
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
