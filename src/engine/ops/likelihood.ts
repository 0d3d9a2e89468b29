/** Log-probabilities and cross-entropy without one-hot tables. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { hasOwnKernels, kernel, kernels, onTensorflow, type } from './kernel';

export interface CrossEntropyOptions {
  /** Labels of this value take no part in the mean. Default -100. */
  readonly ignoreIndex?: number;
}

function checkRows(name: string, logits: tf.Tensor, ids: tf.Tensor): void {
  if (logits.rank !== 2 || ids.rank !== 1 || ids.shape[0] !== logits.shape[0]) {
    throw new RangeError(
      `${name}: expected logits [n, vocab] and ids [n], got [${logits.shape}] and [${ids.shape}]; reshape them first`,
    );
  }
  if (ids.dtype !== 'int32') throw new TypeError(`${name}: the ids must be int32, not ${ids.dtype}`);
}

/** Where each row's id lies in the flat table. `[n]` int32 */
function places(ids: tf.Tensor1D, vocab: number): tf.Tensor1D {
  return tf.add(tf.mul(tf.range(0, ids.size, 1, 'int32'), tf.scalar(vocab, 'int32')), ids);
}

/** Log-softmax over the last axis, stable for logits of any size. @param logits `[..., vocab]` */
export function logSoftmax(logits: tf.Tensor): tf.Tensor {
  if (!onTensorflow()) return logSoftmaxPlain(logits);
  return withGradient([logits], (save) => {
    const value = kernel('LogSoftmax', [type('T')], [logits]);
    save([value]);
    return {
      value,
      gradient: (dy, [lp]) => tf.sub(dy, tf.mul(tf.exp(lp), tf.sum(dy, -1, true))),
    };
  });
}

/** {@link logSoftmax} in plain tf.js operations. */
export function logSoftmaxPlain(logits: tf.Tensor): tf.Tensor {
  return tf.logSoftmax(logits, -1);
}

/**
 * The log-probability of one token a row: log-softmax at the id, with its gradient.
 * With our own kernels one pass forward and one back. On TensorFlow alone only the softmax is formed and kept: `log p = z - max z + log max p`, where `max p >= 1 / vocab`
 * keeps the logarithm exact.
 * @param logits `[n, vocab]`
 * @param ids `[n]` int32, each in 0 .. vocab - 1
 * @returns `[n]`, each at most 0
 * @throws RangeError for other shapes; TypeError for ids that are not int32
 */
export function tokenLogProbs(logits: tf.Tensor, ids: tf.Tensor1D): tf.Tensor1D {
  checkRows('tokenLogProbs', logits, ids);
  if (!onTensorflow() || logits.size === 0) return tokenLogProbsPlain(logits, ids);
  if (hasOwnKernels()) {
    return withGradient([logits], (save) => {
      const [value, total] = kernels('UnilabTokenLogProbs', [], [logits, ids], 2);
      save([logits, ids, total]);
      return { value, gradient: (dy, saved) => kernel('UnilabTokenLogProbsGrad', [], [...saved, dy]) };
    }) as tf.Tensor1D;
  }
  const [n, vocab] = logits.shape;
  return withGradient([logits], (save) => {
    const at = places(ids, vocab);
    const p = tf.softmax(logits);
    const chosen = tf.gather(tf.reshape(logits, [n * vocab]), at);
    const value = tf.add(tf.sub(chosen, tf.max(logits, 1)), tf.log(tf.max(p, 1)));
    save([p, at]);
    return {
      value,
      gradient: (dy, [ps, ats]) => {
        const spread = tf.reshape(tf.mul(ps, tf.reshape(tf.neg(dy), [n, 1])), [n * vocab]);
        const attributes = [type('T'), type('Tindices', 'int32')];
        return tf.reshape(kernel('TensorScatterAdd', attributes, [spread, tf.reshape(ats, [n, 1]), dy]), [n, vocab]);
      },
    };
  }) as tf.Tensor1D;
}

/** {@link tokenLogProbs} in plain tf.js operations. */
export function tokenLogProbsPlain(logits: tf.Tensor, ids: tf.Tensor1D): tf.Tensor1D {
  checkRows('tokenLogProbs', logits, ids);
  return tf.tidy(() => {
    const [, vocab] = logits.shape;
    return tf.gather<tf.Tensor1D>(tf.reshape(tf.logSoftmax(logits, -1), [logits.size]), places(ids, vocab));
  });
}

/** A number of each row `[n, vocab]`, of which an id was drawn: `[n]`. */
export type TokenReading = (logits: tf.Tensor2D, ids: tf.Tensor1D) => tf.Tensor1D;

/**
 * The entropy of each row's distribution in nats.
 * @param logits `[n, vocab]`; what cannot be drawn is far down, and finite
 * @returns `[n]`
 */
export function tokenEntropies(logits: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() => {
    const logProbs = tf.logSoftmax(logits, -1);
    return tf.neg(tf.sum<tf.Tensor1D>(tf.mul(tf.exp(logProbs), logProbs), 1));
  });
}

/**
 * Mean cross-entropy in nats over the labels that are not ignored; 0 when all are.
 * @param logits `[n, vocab]`
 * @param labels `[n]` int32
 * @throws RangeError for other shapes; TypeError for labels that are not int32
 */
export function crossEntropy(logits: tf.Tensor, labels: tf.Tensor1D, options: CrossEntropyOptions = {}): tf.Scalar {
  return meanOver(tokenLogProbs, logits, labels, options);
}

/** {@link crossEntropy} in plain tf.js operations. */
export function crossEntropyPlain(
  logits: tf.Tensor,
  labels: tf.Tensor1D,
  options: CrossEntropyOptions = {},
): tf.Scalar {
  return meanOver(tokenLogProbsPlain, logits, labels, options);
}

function meanOver(
  logProbs: typeof tokenLogProbs,
  logits: tf.Tensor,
  labels: tf.Tensor1D,
  { ignoreIndex = -100 }: CrossEntropyOptions,
): tf.Scalar {
  checkRows('crossEntropy', logits, labels);
  return tf.tidy(() => {
    const counts = tf.cast(tf.notEqual(labels, tf.scalar(ignoreIndex, 'int32')), 'float32');
    const safe = tf.mul<tf.Tensor1D>(labels, tf.cast(counts, 'int32'));
    const weights = tf.div(counts, tf.minimum(tf.neg(tf.sum(counts)), -1));
    return tf.sum<tf.Scalar>(tf.mul(logProbs(logits, safe), weights));
  });
}
