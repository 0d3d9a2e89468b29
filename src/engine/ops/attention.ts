/** Scaled dot-product attention with any additive mask. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { float, hasOwnKernels, kernel } from './kernel';

function check(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor | null): void {
  const shapes = `q [${q.shape}], k [${k.shape}], v [${v.shape}]`;
  if (q.rank !== 4 || k.rank !== 4 || v.rank !== 4) {
    throw new RangeError(`attention: expected [batch, heads, tokens, headDim] three times, got ${shapes}`);
  }
  if (q.shape[3] !== k.shape[3] || k.shape[2] !== v.shape[2]) {
    throw new RangeError(`attention: q and k must agree in headDim, k and v in tokens; got ${shapes}`);
  }
  if (mask && (mask.shape[mask.rank - 1] !== k.shape[2] || ![1, q.shape[2]].includes(mask.shape[mask.rank - 2] ?? 1))) {
    throw new RangeError(
      `attention: the mask [${mask.shape}] must end in [${q.shape[2]}, ${k.shape[2]}] (q, k tokens)`,
    );
  }
}

/**
 * Tokens of heads as heads of tokens, or the other way round. Of one token nothing moves in memory.
 * @param x `[batch, a, b, headDim]`
 * @returns `[batch, b, a, headDim]`
 */
export function swapHeads(x: tf.Tensor): tf.Tensor4D {
  const [batch, a, b, dim] = x.shape as [number, number, number, number];
  return a === 1 || b === 1 ? tf.reshape(x, [batch, b, a, dim]) : tf.transpose(x as tf.Tensor4D, [0, 2, 1, 3]);
}

/**
 * `softmax(q k^T * scale + mask) v` (Vaswani et al. 2017, eq. 1). The gradient takes each row's
 * `sum(dP * P)` from `sum(dO * O)` (Dao et al. 2022, FlashAttention, appendix B.2), so that it makes two passes over
 * the attention matrix instead of four.
 * @param q `[batch, heads, queries, headDim]`
 * @param k `[batch, heads, keys, headDim]`
 * @param v `[batch, heads, keys, valueDim]`
 * @param mask added to the scores, `[batch or 1, 1 or heads, queries or 1, keys]`: 0 to see, -1e9 to hide (a whole row
 *   of -Infinity would be NaN); null for none. It gets no gradient.
 * @param scale default `1 / sqrt(headDim)`
 * @returns `[batch, heads, queries, valueDim]`
 * @throws RangeError when shapes do not fit
 */
export function attention(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  mask: tf.Tensor | null,
  scale = 1 / Math.sqrt(q.shape[3] ?? 1),
): tf.Tensor {
  check(q, k, v, mask);
  if (hasOwnKernels()) return attentionOwn(q, k, v, mask, scale);
  return withGradient([q, k, v], (save) => {
    const scores = tf.matMul(tf.mul(q, scale), k, false, true);
    const p = tf.softmax(mask ? tf.add(scores, mask) : scores);
    const value = tf.matMul(p, v);
    save([q, k, v, p, value]);
    return {
      value,
      gradient: (dy, [qs, ks, vs, ps, outs]) => {
        const dv = tf.matMul(ps, dy, true, false);
        const rows = tf.sum(tf.mul(dy, outs), -1, true);
        const ds = tf.mul(ps, tf.sub(tf.matMul(dy, vs, false, true), rows));
        const dq = tf.mul(tf.matMul(ds, ks), scale);
        const dk = tf.mul(tf.matMul(ds, qs, true, false), scale);
        return [dq, dk, dv];
      },
    };
  });
}

/** {@link attention} with scale, mask and softmax in one kernel, and its gradient in another. */
function attentionOwn(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask: tf.Tensor | null, scale: number): tf.Tensor {
  return withGradient([q, k, v], (save) => {
    const scores = tf.matMul(q, k, false, true);
    const padded = mask ? tf.reshape(mask, [...[1, 1, 1, 1].slice(mask.rank), ...mask.shape]) : tf.tensor1d([]);
    const p = kernel('UnilabMaskedSoftmax', [float('scale', scale)], [scores, padded]);
    scores.dispose();
    save([q, k, v, p]);
    return {
      value: tf.matMul(p, v),
      gradient: (dy, [qs, ks, vs, ps]) => {
        const dv = tf.matMul(ps, dy, true, false);
        const dp = tf.matMul(dy, vs, false, true);
        const ds = kernel('UnilabMaskedSoftmaxGrad', [float('scale', scale)], [ps, dp]);
        dp.dispose();
        return [tf.matMul(ds, ks), tf.matMul(ds, qs, true, false), dv];
      },
    };
  });
}

/** {@link attention} in plain tf.js operations, with tf.js's own gradients. */
export function attentionPlain(
  q: tf.Tensor,
  k: tf.Tensor,
  v: tf.Tensor,
  mask: tf.Tensor | null,
  scale = 1 / Math.sqrt(q.shape[3] ?? 1),
): tf.Tensor {
  check(q, k, v, mask);
  return tf.tidy(() => {
    const scores = tf.mul(tf.matMul(q, k, false, true), scale);
    return tf.matMul(tf.softmax(mask ? tf.add(scores, mask) : scores), v);
  });
}
