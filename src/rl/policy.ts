/**
 * The policy contract: what reinforcement learning knows of a model. A trajectory is made of named segments, a segment
 * of pieces; a piece is what one row of a forward pass decides (a whole answer, or one decoding step of an image),
 * and replaying it gives log-probs that line up token for token with what was sampled.
 */
import type * as tf from '@tensorflow/tfjs';

export type SegmentName = 'understanding' | 'generation';

/** Decisions of one forward row. Policies keep what they need to replay it in subtypes of their own. */
export interface Piece {
  readonly segment: SegmentName;
  /** What was sampled, `[tokens]`. */
  readonly ids: Int32Array;
  /** log p of each id under the distribution it was drawn from, `[tokens]`. */
  readonly logProbs: Float32Array;
  /** 1 where the id was a decision that is to be scored, 0 where it was forced or known, `[tokens]`. */
  readonly mask: Uint8Array;
}

/** Everything one sample decided, in order. */
export interface Trajectory {
  readonly pieces: readonly Piece[];
}

/** Whose weights replay: those that learn, or the frozen reference. */
export type ReplayWeights = 'policy' | 'reference';

export interface Policy {
  /** What learns, by name. */
  variables(): Readonly<Record<string, tf.Variable>>;
  /**
   * log-probs of the pieces' ids, `[pieces, longest piece]`, zero-padded on the right; differentiable in the variables
   * for `policy`. All pieces are of one segment.
   * @throws RangeError for pieces of different segments
   */
  replay(pieces: readonly Piece[], weights: ReplayWeights): tf.Tensor2D;
}

/** Number of scored tokens of one segment of a trajectory. */
export function scoredTokens(trajectory: Trajectory, segment: SegmentName): number {
  let count = 0;
  for (const piece of trajectory.pieces) if (piece.segment === segment) for (const m of piece.mask) count += m;
  return count;
}
