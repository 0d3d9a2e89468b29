/** Look-up-free quantization (MAGVIT-v2, Yu et al. 2023): a code is the signs of its channels. */
import { tf } from '../../engine';

/** Weights of the two losses, as Show-o's tokenizer prints them. */
export const LFQ_LOSS_WEIGHTS = { beta: 0.25, commitment: 0.1, entropy: 0.1 } as const;

/** Signs of `z`, -1 or +1 (0 counts as -1), same shape; their gradient is zero. */
export function signs(z: tf.Tensor): tf.Tensor {
  return tf.customGrad((x) => ({ value: signValues(x as tf.Tensor), gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) }))(
    z,
  );
}

function signValues(z: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.sub(tf.mul(tf.cast(tf.greater(z, 0), 'float32'), 2), 1));
}

/** The signs going forward, the identity going back (straight through). */
export function signsStraightThrough<T extends tf.Tensor>(z: T): T {
  return tf.customGrad((x) => ({ value: signValues(x as tf.Tensor), gradFunc: (dy: tf.Tensor) => dy }))(z) as T;
}

/** `z` `[..., bits]` -> codes `[...]` int32; channel 0 is the most significant bit. */
export function codesOf(z: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const bits = z.shape[z.shape.length - 1];
    const powers = tf.tensor1d(Array.from({ length: bits }, (_, k) => 2 ** (bits - 1 - k)));
    return tf.cast(tf.sum(tf.mul(tf.cast(tf.greater(z, 0), 'float32'), powers), -1), 'int32');
  });
}

/** Codes as plain numbers -> their entries, `[codes.length, bits]`, -1 or +1. @throws RangeError for a code outside 0..2^bits-1 */
export function codebookEntries(codes: ArrayLike<number>, bits: number): tf.Tensor2D {
  const out = new Float32Array(codes.length * bits);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (!(code >= 0 && code < 2 ** bits))
      throw new RangeError(`image code ${code} at position ${i} is outside 0..${2 ** bits - 1}`);
    for (let k = 0; k < bits; k++) out[i * bits + k] = (code >> (bits - 1 - k)) & 1 ? 1 : -1;
  }
  return tf.tensor2d(out, [codes.length, bits]);
}

/**
 * The two regularisers of LFQ on the encoder's output `z` `[positions, bits]`, each times its weight:
 * `commitment` = 0.1 (1 + beta) mean (sign z - z)^2, its beta part without gradient to z (it has none: signs are
 * constants), and `entropy` = 0.1 (mean entropy of each bit - entropy of the mean bit), with p = sigmoid(4 z), the
 * two-way softmax over minus the squared distances to +1 and -1.
 */
export function lfqLosses(z: tf.Tensor2D): { commitment: tf.Scalar; entropy: tf.Scalar } {
  const distance = tf.mean<tf.Scalar>(tf.square(tf.sub(signs(z), z)));
  // The beta term is on the detached z: its value counts, its gradient reaches only the (constant) codebook.
  const detached = stopGradient(distance);
  const commitment = tf.mul<tf.Scalar>(
    tf.add(distance, tf.mul(detached, LFQ_LOSS_WEIGHTS.beta)),
    LFQ_LOSS_WEIGHTS.commitment,
  );
  const p = tf.sigmoid(tf.mul(z, 4));
  const each = tf.mean(binaryEntropy(p));
  const ofMean = tf.mean(binaryEntropy(tf.mean(p, 0)));
  return { commitment, entropy: tf.mul<tf.Scalar>(tf.sub(each, ofMean), LFQ_LOSS_WEIGHTS.entropy) };
}

/** -p ln p - (1-p) ln (1-p), nats; clipped so that p of exactly 0 or 1 gives 0 and no NaN in the gradient. */
function binaryEntropy(p: tf.Tensor): tf.Tensor {
  const eps = 1e-7;
  const clipped = tf.add(tf.mul(p, 1 - 2 * eps), eps);
  const q = tf.sub(1, clipped);
  return tf.neg(tf.add(tf.mul(clipped, tf.log(clipped)), tf.mul(q, tf.log(q))));
}

function stopGradient<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((y) => ({ value: tf.clone(y as tf.Tensor), gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) }))(
    x,
  ) as T;
}
