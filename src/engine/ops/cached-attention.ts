/** Attention of new tokens to those that a cache of fixed capacity holds, and the cache's growth. */
import * as tf from '@tensorflow/tfjs';
import { attention } from './attention';
import { float, hasOwnKernel, kernel } from './kernel';

const OPERATION = 'UnilabCachedAttention';
/** Added to the scores of places that hold nothing yet. */
const BLOCKED = -1e9;

/** Keys and values of tokens, `[batch, keyValueHeads, tokens or capacity, headDim]`. */
export type KeysValues = {
  readonly keys: tf.Tensor4D;
  readonly values: tf.Tensor4D;
};

/**
 * `softmax(q k^T * scale) v` over the tokens that a cache holds and the new ones, which see each other causally. The new
 * ones are put behind those that each row holds. UniLab's own kernel writes them into the cache in place, and its time
 * follows the tokens that are held; the plain way makes a new cache, and its time follows the capacity. No gradient.
 * @param q `[batch, heads, tokens, headDim]`; heads that share a key-value head stand together
 * @param own of the new tokens
 * @param held the cache; numbers behind the rows' lengths mean nothing
 * @param lengths int32 `[batch]`: tokens that each row holds; with the new ones, the capacity at most
 * @returns `value` `[batch, heads, tokens, headDim]`, and the cache that holds the new tokens as well: `held` itself, or
 *   a new one in its place
 * @throws RangeError when shapes do not fit
 */
export function cachedAttention(
  q: tf.Tensor4D,
  own: KeysValues,
  held: KeysValues,
  lengths: tf.Tensor1D,
  scale: number,
): { readonly value: tf.Tensor4D; readonly held: KeysValues } {
  check(q, own, held, lengths);
  if (!hasOwnKernel(OPERATION)) return cachedAttentionPlain(q, own, held, lengths, scale);
  const inputs = [q, own.keys, own.values, held.keys, held.values, lengths];
  return { value: kernel(OPERATION, [float('scale', scale)], inputs) as tf.Tensor4D, held };
}

/** {@link cachedAttention} in plain tf.js operations, whose shapes do not depend on the lengths. */
export function cachedAttentionPlain(
  q: tf.Tensor4D,
  own: KeysValues,
  held: KeysValues,
  lengths: tf.Tensor1D,
  scale: number,
): { readonly value: tf.Tensor4D; readonly held: KeysValues } {
  const [batch, heads, tokens, dim] = q.shape;
  const [, groups, capacity] = held.keys.shape;
  return tf.tidy(() => {
    const places = tf.tensor1d(
      Int32Array.from({ length: capacity }, (_, p) => p),
      'int32',
    );
    // Where each new token goes, [batch, tokens, capacity].
    const at = tf.add(tf.reshape(lengths, [batch, 1, 1]), tf.tensor3d(counted(tokens), [1, tokens, 1], 'int32'));
    const written = put(own, held, tf.cast(tf.equal(at, places), 'float32'));
    const mask = tf.mul(tf.cast(tf.less(at, places), 'float32'), BLOCKED);
    const shared = heads / groups;
    const wide = tf.tile(tf.reshape(mask, [batch, 1, tokens, capacity]), [1, 1, shared, 1]);
    const grouped = tf.reshape(q, [batch, groups, shared * tokens, dim]);
    const value = attention(grouped, written.keys, written.values, wide, scale);
    return { value: tf.reshape<tf.Rank.R4>(value, [batch, heads, tokens, dim]), held: written };
  });
}

const counted = (count: number): Int32Array => Int32Array.from({ length: count }, (_, i) => i);

/** @param at 1 where a token goes, `[batch, tokens, capacity]` */
function put(own: KeysValues, held: KeysValues, at: tf.Tensor): KeysValues {
  const [batch, tokens, capacity] = at.shape;
  const into = (cache: tf.Tensor4D, fresh: tf.Tensor4D): tf.Tensor4D => {
    const [, groups, , dim] = fresh.shape;
    let all = cache;
    for (let t = 0; t < tokens; t++) {
      const here = tf.reshape(tf.slice(at, [0, t, 0], [batch, 1, capacity]), [batch, 1, capacity, 1]);
      const token = tf.slice(fresh, [0, 0, t, 0], [batch, groups, 1, dim]);
      all = tf.add(tf.mul(all, tf.sub(1, here)), tf.mul(token, here));
    }
    return all;
  };
  return { keys: into(held.keys, own.keys), values: into(held.values, own.values) };
}

function check(q: tf.Tensor4D, own: KeysValues, held: KeysValues, lengths: tf.Tensor1D): void {
  const [batch, heads, tokens, dim] = q.shape;
  const [, groups, capacity] = held.keys.shape;
  const is = (tensor: tf.Tensor, shape: readonly number[]) => tf.util.arraysEqual(tensor.shape, [...shape]);
  const fits =
    heads % groups === 0 &&
    [own.keys, own.values].every((tensor) => is(tensor, [batch, groups, tokens, dim])) &&
    [held.keys, held.values].every((tensor) => is(tensor, [batch, groups, capacity, dim])) &&
    is(lengths, [batch]);
  if (!fits)
    throw new RangeError(
      `cached attention: queries [${q.shape}], new keys [${own.keys.shape}], held keys [${held.keys.shape}] and lengths [${lengths.shape}] do not fit`,
    );
}
