import type * as tf from '@tensorflow/tfjs';
import { Registry } from '../registry';

export interface AggregationContext {
  /** 1 at tokens that count, `[samples, tokens]`. */
  readonly mask: tf.Tensor2D;
  /** Masks of the named segments, `[samples, tokens]`; one of everything when the batch has no segments. */
  readonly segments: readonly tf.Tensor2D[];
  /** Samples in the whole batch, of which this may be a part. */
  readonly sequences: number;
  /** Active tokens in the whole batch; undefined: those here. */
  readonly tokens?: number;
  /** Only for `const`. */
  readonly maxLength?: number;
}

/**
 * From per-token losses to the loss.
 * @param values `[samples, tokens]`, 0 where masked, already weighted by segment; `[samples, 1]` for `sequences`
 */
export type Aggregation = (values: tf.Tensor2D, context: AggregationContext) => tf.Scalar;

export const aggregations = new Registry<Aggregation>('aggregation');
