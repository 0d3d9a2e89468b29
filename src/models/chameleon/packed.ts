/** Several continuations of one beginning in one row of Chameleon: see `nn/packed-rows`. */
import { tf } from '../../engine';
import { additiveMask } from '../../nn/causal-mask';
import { packedMask, type PackedRow, padRows, scoredOf } from '../../nn/packed-rows';
import type { Parameters } from '../../nn/parameters';
import type { Labelled } from './layout';
import type { ChameleonModel } from './model';
import { chameleonLogits } from './transformer';

/** A row of one sequence. */
export function plainRow({ ids, labels }: Labelled): PackedRow {
  return { ids, labels, positions: ids.map((_, i) => i), starts: ids.map(() => 0), shared: ids.length };
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
  const padded = padRows(rows, model.vocabulary.pad);
  const { at, targets } = scoredOf(padded);
  if (targets.length === 0) throw new RangeError('nothing of these rows is scored');
  const logits = tf.tidy(() => {
    const ids = padded.map((row) => [...row.ids]);
    // Sequences of their own need neither mask nor positions: the decoder's are theirs.
    const own = rows.every((row) => row.shared === row.ids.length);
    const seen = own
      ? {}
      : {
          positions: padded.map((row) => [...row.positions]),
          mask: additiveMask(padded.map(packedMask), ids[0].length),
        };
    const hidden = model.hidden(ids, seen, parameters);
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, model.config.text.hidden_size]);
    return chameleonLogits(parameters, tf.gather(flat, tf.tensor1d(at, 'int32')));
  });
  return { logits, targets };
}
