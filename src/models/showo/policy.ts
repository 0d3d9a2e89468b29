/** Show-o as a policy: what it samples (answers, MaskGIT transitions) and exact replay of both, guidance included. */
import { tf, tokenLogProbs } from '../../engine';
import type { Parameters } from '../../nn/parameters';
import { type Answer, answerLogits, type AnswerPrefix } from './answers';
import { conditionTokens, textToImageIds } from './layout';
import type { ShowoModel } from './model';
import type { ImageBatch } from './sampler';
import type { ExtraTokens } from './transformer';

/** Decisions of one forward row; the shape that reinforcement learning replays. */
interface Decisions {
  readonly ids: Int32Array;
  readonly logProbs: Float32Array;
  readonly mask: Uint8Array;
}

/** A whole answer to a prefix. */
export interface AnswerPiece extends Decisions {
  readonly segment: 'understanding';
  readonly prefix: AnswerPrefix;
}

/** One MaskGIT step of one image. */
export interface TransitionPiece extends Decisions {
  readonly segment: 'generation';
  readonly condition: readonly number[];
  /** Codes before the step, -1 where unknown. */
  readonly before: Int32Array;
  /** w of the guidance that was sampled with. */
  readonly guidanceScale: number;
}

export type ShowoPiece = AnswerPiece | TransitionPiece;

/**
 * Which positions of a MaskGIT step count as decisions: `all` (each position was predicted), `masked` (each that was
 * unknown before the step, so the prediction was really drawn), `committed` (each that stayed).
 */
export type ScoredPositions = 'all' | 'masked' | 'committed';

/** Which image log-probs replay gives: of the guided mixture that was sampled, or of its conditional half. */
export type ImageLogProbs = 'guided' | 'conditional';

export function answerPiece(prefix: AnswerPrefix, answer: Answer): AnswerPiece {
  return {
    segment: 'understanding',
    prefix,
    ids: Int32Array.from(answer.ids),
    logProbs: answer.logProbs,
    mask: new Uint8Array(answer.ids.length).fill(1),
  };
}

/** The pieces of one finished (or interrupted) image of a batch, in the order of their steps. */
export function transitionPieces(batch: ImageBatch, image: number, scored: ScoredPositions): TransitionPiece[] {
  return batch.transitions[image].map(({ before, chosen, logProbs, committed }) => ({
    segment: 'generation',
    condition: batch.conditions[image],
    before,
    guidanceScale: batch.options.guidanceScale,
    ids: chosen,
    logProbs,
    mask:
      scored === 'committed' ? committed : Uint8Array.from(before, (code) => (scored === 'all' || code < 0 ? 1 : 0)),
  }));
}

/** Weights to replay with: the model's own, or a frozen copy. */
export interface ShowoWeights {
  readonly parameters: Parameters;
  readonly extra?: ExtraTokens;
}

/**
 * log p of every id of the pieces, `[pieces, longest piece]`, zero-padded; differentiable in the weights.
 * @throws RangeError for pieces of different segments or with different guidance
 */
export function replayPieces(
  model: ShowoModel,
  pieces: readonly ShowoPiece[],
  weights: ShowoWeights = model,
  imageLogProbs: ImageLogProbs = 'guided',
): tf.Tensor2D {
  const { segment } = pieces[0];
  if (pieces.some((piece) => piece.segment !== segment))
    throw new RangeError('replay takes pieces of one segment at a time');
  return segment === 'understanding'
    ? replayAnswers(model, pieces as readonly AnswerPiece[], weights)
    : replayTransitions(model, pieces as readonly TransitionPiece[], weights, imageLogProbs);
}

function replayAnswers(
  model: ShowoModel,
  pieces: readonly AnswerPiece[],
  { parameters, extra }: ShowoWeights,
): tf.Tensor2D {
  return tf.tidy(() => {
    const longest = Math.max(...pieces.map((piece) => piece.ids.length));
    const rows = pieces.map(({ prefix, ids }) => ({ ids: [...prefix.ids, ...ids], image: prefix.image }));
    // Padding asks for position 0 and id 0, and is multiplied away: rows of one length need no gather back.
    const at = (i: number, piece: AnswerPiece) => (i < piece.ids.length ? piece.prefix.ids.length + i - 1 : 0);
    const positions = pieces.map((piece) => Array.from({ length: longest }, (_, i) => at(i, piece)));
    const targets = pieces.flatMap((piece) => Array.from({ length: longest }, (_, i) => piece.ids[i] ?? 0));
    const logits = answerLogits(model, rows, positions, 'text', parameters, extra);
    const logProbs = tf.reshape(tokenLogProbs(logits, tf.tensor1d(targets, 'int32')), [pieces.length, longest]);
    const real = tf.tensor2d(pieces.flatMap((piece) => Array.from({ length: longest }, (_, i) => (i < piece.ids.length ? 1 : 0))), [pieces.length, longest]); // prettier-ignore
    return tf.mul<tf.Tensor2D>(logProbs, real);
  });
}

function replayTransitions(
  model: ShowoModel,
  pieces: readonly TransitionPiece[],
  { parameters, extra }: ShowoWeights,
  which: ImageLogProbs,
): tf.Tensor2D {
  const { guidanceScale } = pieces[0];
  if (pieces.some((piece) => piece.guidanceScale !== guidanceScale))
    throw new RangeError('replay takes pieces of one guidance scale at a time');
  return tf.tidy(() => {
    const none = conditionTokens(model.config, null);
    const rows = pieces.map((piece) =>
      textToImageIds(model.config, conditionTokens(model.config, piece.condition), piece.before),
    );
    const dropped = pieces.map((piece) => textToImageIds(model.config, none, piece.before));
    const logits = model.imageLogits(rows, dropped, which === 'guided' ? guidanceScale : 0, parameters, extra);
    const ids = tf.tensor1d(Int32Array.from(pieces.flatMap((piece) => Array.from(piece.ids))), 'int32');
    return tf.reshape<tf.Rank.R2>(tokenLogProbs(logits, ids), [pieces.length, -1]);
  });
}
