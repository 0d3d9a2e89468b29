/**
 * From images to tokens: patches as one strided convolution, and a table of learned positions stretched to images of
 * another size than the one it was learned for.
 */
import { tf } from '../engine';
import { Conv2d } from './layers';

/**
 * Patches of images as tokens, row by row. What is left at the right and at the bottom of an image that is no whole
 * number of patches is not seen.
 * @param pixels `[batch, height, width, channels]`
 * @param weight `[patch height, patch width, channels, hidden]`
 * @param bias `[hidden]`, or null for none
 * @returns `[batch, rows * columns, hidden]`
 */
export function embedPatches(pixels: tf.Tensor4D, weight: tf.Tensor4D, bias: tf.Tensor | null): tf.Tensor3D {
  return tf.tidy(() => {
    const [patchHeight, patchWidth, , hidden] = weight.shape;
    const grid = tf.conv2d(pixels, weight, [patchHeight, patchWidth], 'valid');
    const tokens = tf.reshape<tf.Rank.R3>(grid, [pixels.shape[0], -1, hidden]);
    return bias ? tf.add<tf.Tensor3D>(tokens, bias) : tokens;
  });
}

/**
 * A table of positions for another grid: bicubic, corners not aligned, as PyTorch's `interpolate` does it. Leading rows that stand for no patch (the class token's) stay as they are.
 * @param table `[leading + rows * columns, hidden]`
 * @param from rows and columns that the table was learned for
 * @param to rows and columns that are wanted
 * @param leading default 1
 * @param antialias as PyTorch's option: a = -0.5 and a filter that widens when shrinking. Default false: a = -0.75, four
 *   taps whatever the scale, borders repeated
 * @returns `[leading + rows * columns, hidden]` of the new grid; the caller disposes it
 * @throws RangeError when the table does not have the rows that `from` and `leading` say
 */
export function interpolatePositions(
  table: tf.Tensor2D,
  from: readonly [number, number],
  to: readonly [number, number],
  leading = 1,
  antialias = false,
): tf.Tensor2D {
  const [count, hidden] = table.shape;
  if (count !== leading + from[0] * from[1]) {
    throw new RangeError(
      `the table has ${count} positions; ${leading} and a grid of ${from[0]} x ${from[1]} were expected`,
    );
  }
  if (from[0] === to[0] && from[1] === to[1]) return tf.clone(table);
  const weights = antialias ? antialiasedWeights : bicubicWeights;
  return tf.tidy(() => {
    const grid = tf.slice(table, [leading, 0], [-1, -1]);
    const tall = tf.matMul(weights(from[0], to[0]), tf.reshape<tf.Rank.R2>(grid, [from[0], from[1] * hidden]));
    const byColumn = tf.transpose(tf.reshape<tf.Rank.R3>(tall, [to[0], from[1], hidden]), [1, 0, 2]);
    const wide = tf.matMul(weights(from[1], to[1]), tf.reshape<tf.Rank.R2>(byColumn, [from[1], to[0] * hidden]));
    const byRow = tf.transpose(tf.reshape<tf.Rank.R3>(wide, [to[1], to[0], hidden]), [1, 0, 2]);
    const patches = tf.reshape<tf.Rank.R2>(byRow, [to[0] * to[1], hidden]);
    return leading > 0 ? tf.concat([tf.slice(table, [0, 0], [leading, -1]), patches]) : patches;
  });
}

/** Patches of images as tokens: a convolution whose stride is its size. */
export class PatchEmbedding extends Conv2d {
  /** @param patch height and width @param std of the first weights; default 0.02 */
  constructor(
    channels: number,
    hidden: number,
    patch: readonly [number, number],
    { bias = true, std = 0.02 }: { readonly bias?: boolean; readonly std?: number } = {},
  ) {
    super(channels, hidden, patch, { bias, std, stride: patch, pad: 'valid' });
  }

  /**
   * Row by row. What is left at the right and at the bottom of an image that is no whole number of patches is not seen.
   * @param pixels `[batch, height, width, channels]`
   * @returns `[batch, rows * columns, hidden]`
   */
  tokens(pixels: tf.Tensor4D): tf.Tensor3D {
    return tf.tidy(() => tf.reshape<tf.Rank.R3>(this.forward(pixels), [pixels.shape[0], -1, this.weight.shape[0]]));
  }
}

/** Keys' cubic convolution kernel (1981). */
function cubic(x: number, a = -0.75): number {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

/** `[to, from]`: each new place as a sum of four old ones. */
function bicubicWeights(from: number, to: number): tf.Tensor2D {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(at) - 1;
    for (let j = first; j < first + 4; j++) weights[i * from + Math.min(from - 1, Math.max(0, j))] += cubic(at - j);
  }
  return tf.tensor2d(weights, [to, from]);
}

/** The same, antialiased; what reaches over the border is left out, and the rest sums to 1. */
function antialiasedWeights(from: number, to: number): tf.Tensor2D {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - 2 * widening + 0.5));
    const end = Math.min(from, Math.trunc(center + 2 * widening + 0.5));
    const own = Array.from({ length: end - first }, (_, k) => cubic((first + k - center + 0.5) / widening, -0.5));
    const total = own.reduce((sum, w) => sum + w, 0);
    own.forEach((w, k) => (weights[i * from + first + k] = w / total));
  }
  return tf.tensor2d(weights, [to, from]);
}
