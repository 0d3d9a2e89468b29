/** Several questions about one image, or one text, in one row of Janus: see `nn/packed-rows`. */
import { tf } from '../../engine';
import { additiveMask } from '../../nn/causal-mask';
import { packedMask, type PackedRow, packTurns as pack, padRows, scoredOf, type Turn } from '../../nn/packed-rows';
import type { Parameters } from '../../nn/parameters';
import type { JanusConfig } from './config';
import type { JanusModel } from './model';

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
  const row = pack(beginning, turns, tokens.eos);
  const last = row.positions.reduce((a, b) => Math.max(a, b), -1) + 1;
  if (last > text.max_position_embeddings)
    throw new RangeError(`a turn ends at position ${last}; this model has ${text.max_position_embeddings}`);
  return row;
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
  const padded = padRows(rows, model.config.tokens.pad);
  const { at, targets } = scoredOf(padded);
  const logits = tf.tidy(() => {
    const embeds = model.embed(padded.map((row) => row.ids), features, p); // prettier-ignore
    const mask = additiveMask(padded.map(packedMask), padded[0].ids.length);
    const hidden = model.hidden(embeds, { mask, positions: padded.map((row) => row.positions) }, p);
    // Only scored positions reach the output layer.
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, model.config.text.hidden_size]);
    return model.textLogits(tf.gather(flat, tf.tensor1d(at, 'int32')), p);
  });
  return { logits, targets };
}
