/** The codebook of a VQGAN: nearest codes, entries, and the straight-through training step (van den Oord et al. 2017). */
import { embedding, inFloat32, tf } from '../engine';

/**
 * Each row divided by its length (at least 1e-12, as PyTorch's normalize); zeros stay zeros, and so does what flows back
 * to them scaled by 1e12, not NaN. @param x `[..., dim]`
 */
export function l2Normalize<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => tf.div(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), -1, true), 1e-24))));
}

/**
 * The nearest code of every latent, the first of equals; no gradient.
 * @param latents `[..., dim]`
 * @param codebook `[codes, dim]`
 * @param l2Norm compare directions (both sides divided by their length) instead of Euclidean distance. Default false
 * @returns `[...]` int32
 * @throws RangeError when the last axes differ
 */
export function nearestCodes(latents: tf.Tensor, codebook: tf.Tensor2D, l2Norm = false): tf.Tensor {
  const dim = latents.shape[latents.shape.length - 1];
  if (dim !== codebook.shape[1])
    throw new RangeError(`codebook: latents [${latents.shape}] do not fit entries [${codebook.shape}]`);
  return tf.tidy(() => {
    const flat = tf.reshape<tf.Rank.R2>(latents, [-1, dim]);
    const [z, e] = l2Norm ? [l2Normalize(flat), l2Normalize(codebook)] : [flat, codebook];
    // |z - e|^2 without |z|^2, which every code of a row shares. In float32, but with AMX: neighbors lie close together.
    const products = inFloat32(() => tf.matMul(z, e, false, true));
    const distances = tf.sub(tf.sum(tf.square(e), 1), tf.mul(products, 2));
    return tf.reshape(tf.argMin(distances, 1), latents.shape.slice(0, -1));
  });
}

/**
 * Entries of codes given as plain numbers.
 * @param codebook `[codes, dim]`
 * @param l2Norm entries divided by their length. Default false
 * @returns `[count, dim]`
 * @throws RangeError naming the first code outside the codebook
 */
export function codebookEntries(codebook: tf.Tensor2D, codes: ArrayLike<number>, l2Norm = false): tf.Tensor2D {
  const size = codebook.shape[0];
  for (let i = 0; i < codes.length; i++)
    if (!Number.isInteger(codes[i]) || codes[i] < 0 || codes[i] >= size)
      throw new RangeError(`image code ${codes[i]} at position ${i} is outside 0..${size - 1}`);
  return tf.tidy(() => {
    const rows = embedding(codebook, tf.tensor1d(Int32Array.from(codes), 'int32')) as tf.Tensor2D;
    return l2Norm ? l2Normalize(rows) : rows;
  });
}

/** Weight of the part of {@link quantize}'s loss that moves the codebook, as taming-transformers and Chameleon have it. */
export const CODEBOOK_BETA = 0.25;

/** What one pass through the codebook gives. */
export interface Quantized {
  /** Entries going forward, the identity going back (straight through), `[batch, rows, columns, dim]`. */
  readonly entries: tf.Tensor4D;
  /** `[batch, rows, columns]` int32. */
  readonly codes: tf.Tensor3D;
  /** mean (sg(e) - z)^2 + beta mean (e - sg(z))^2, sg without gradient. */
  readonly loss: tf.Scalar;
}

/**
 * Latents to their nearest entries, differentiable in both.
 * @param latents `[batch, rows, columns, dim]`
 * @param codebook `[codes, dim]`
 * @param l2Norm both sides divided by their length first. Default false
 * @param beta weight of the codebook's part. Default {@link CODEBOOK_BETA}
 */
export function quantize(latents: tf.Tensor4D, codebook: tf.Tensor2D, l2Norm = false, beta = CODEBOOK_BETA): Quantized {
  const z = l2Norm ? l2Normalize(latents) : latents;
  const codes = nearestCodes(latents, codebook, l2Norm) as tf.Tensor3D;
  const rows = embedding(codebook, codes) as tf.Tensor4D;
  const e = l2Norm ? l2Normalize(rows) : rows;
  const commitment = tf.mean<tf.Scalar>(tf.square(tf.sub(detached(e), z)));
  const pull = tf.mean<tf.Scalar>(tf.square(tf.sub(e, detached(z))));
  return {
    // z + (e - z) with the difference held constant: its value is e, its gradient goes to z.
    entries: tf.add<tf.Tensor4D>(z, detached(tf.sub(e, z))),
    codes,
    loss: tf.add<tf.Scalar>(commitment, tf.mul(pull, beta)),
  };
}

function detached<T extends tf.Tensor>(x: T): T {
  return tf.customGrad((y) => ({ value: tf.clone(y as tf.Tensor), gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) }))(
    x,
  ) as T;
}

/** How many different codes there are among some, a scalar. @param codes int32, of any shape @param size of the codebook */
export function codesInUse(codes: tf.Tensor, size: number): tf.Scalar {
  return tf.tidy(() => tf.sum(tf.max(tf.oneHot(tf.reshape(codes, [codes.size]), size, 1, 0, 'float32'), 0)));
}
