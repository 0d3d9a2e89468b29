/**
 * Janus' image tokenizer: VQ-16 of LlamaGen (Sun et al. 2024) between pixels and codes, and the loss that it is trained
 * with.
 */
import { inFloat32, logSoftmax, type Rng, tf } from '../../engine';
import type { Image } from '../../io';
import type { Vqgan } from '../../nn/vqgan';
import { codebookEntries, codesInUse, l2Normalize, nearestCodes, quantize } from '../../nn/vqgan-codebook';
import { encodeInPasses } from '../passes';
import type { ImageTokenizer } from '../unified';
import type { JanusVqConfig } from './config';

/** Prefix of the tokenizer's parameters. */
export const VQ = 'model.vqmodel.';
/** Whether a parameter is the tokenizer's, which is trained before everything else and then left alone. */
export function isTokenizerParameter(name: string): boolean {
  return name.startsWith(VQ);
}

/** What one training pass of the tokenizer gives. */
export interface TokenizerPass {
  /** The reconstruction, with a straight-through gradient to the encoder. */
  readonly pixels: tf.Tensor4D;
  /** Before the codebook, `[images, rows, columns, embed_dim]`. */
  readonly latents: tf.Tensor4D;
  readonly codes: tf.Tensor3D;
  /** Of the codebook: both parts, a scalar. */
  readonly loss: tf.Scalar;
}

export class JanusImageTokenizer implements ImageTokenizer {
  readonly grid: readonly [number, number];
  readonly stride: number;

  constructor(
    readonly config: JanusVqConfig,
    private readonly layers: Vqgan,
  ) {
    this.grid = [config.num_patches, config.num_patches];
    this.stride = 2 ** (config.channel_multiplier.length - 1);
  }

  /** @throws RangeError for images whose sides are not the grid's times the stride */
  encode(images: readonly Image[]): Int32Array[] {
    const [rows, columns] = this.grid;
    for (const { width, height } of images)
      if (height !== rows * this.stride || width !== columns * this.stride)
        throw new RangeError(
          `an image is ${width} x ${height}; this tokenizer takes ${columns * this.stride} x ${rows * this.stride}: resize it first`,
        );
    return encodeInPasses(images, (pixels) => this.encodePixels(pixels));
  }

  /**
   * Pixels -> codes `[images, rows * columns]` int32, row by row.
   * @param pixels `[images, height, width, 3]` in [-1, 1]
   * @param l2Norm latents and codebook divided by their length first: true (default) as the original Janus; false as
   *   transformers' encoder, which differs from its own decoder there
   */
  encodePixels(pixels: tf.Tensor4D, l2Norm = true): tf.Tensor2D {
    return tf.tidy(() => {
      const codes = nearestCodes(this.latents(pixels), this.codebook, l2Norm);
      return tf.reshape<tf.Rank.R2>(codes, [pixels.shape[0], -1]);
    });
  }

  /**
   * Codes `[images][num_patches^2]` -> pixels `[images, height, width, 3]`, about [-1, 1], not clipped.
   * @throws RangeError for another grid or number of codes, or codes outside the codebook
   */
  decode(codes: readonly ArrayLike<number>[], grid = this.grid): tf.Tensor4D {
    if (grid.join() !== this.grid.join())
      throw new RangeError(`the grid is ${grid.join(' x ')}; this tokenizer has ${this.grid.join(' x ')} codes alone`);
    return tf.tidy(() => this.layers.decodeEntries(this.entries(codes)));
  }

  /** Codes -> their entries, divided by their length, as a grid. @returns `[images, rows, columns, embed_dim]` */
  entries(codes: readonly ArrayLike<number>[]): tf.Tensor4D {
    const [rows, columns] = this.grid;
    codes.forEach((row, i) => {
      if (row.length !== rows * columns)
        throw new RangeError(`image ${i} has ${row.length} codes; ${rows} x ${columns} were expected`);
    });
    return tf.tidy(() => {
      const flat = codes.flatMap((row) => Array.from(row));
      const entries = codebookEntries(this.codebook, flat, true);
      return tf.reshape<tf.Rank.R4>(entries, [codes.length, rows, columns, this.config.embed_dim]);
    });
  }

  /** The encoder before `quant_conv`, `[images, rows, columns, latent_channels]`. */
  encoderHidden(pixels: tf.Tensor4D): tf.Tensor4D {
    return this.layers.hidden(pixels);
  }

  /** What the codebook is compared with, `[images, rows, columns, embed_dim]`. */
  latents(pixels: tf.Tensor4D): tf.Tensor4D {
    return this.layers.encodeContinuous(pixels);
  }

  /** The codebook's loss of pixels (its two parts and beta), a scalar. @param l2Norm as for {@link encodePixels} */
  codebookLoss(pixels: tf.Tensor4D, l2Norm = true): tf.Scalar {
    return tf.tidy(() => quantize(this.latents(pixels), this.codebook, l2Norm, this.config.beta).loss);
  }

  /**
   * One training pass, pixels to pixels.
   * @param quantized false: latents go to the decoder as they are (divided by their length), and the codebook's loss is 0
   */
  reconstruct(pixels: tf.Tensor4D, quantized = true): TokenizerPass {
    const latents = this.latents(pixels);
    const { entries, codes, loss } = quantize(latents, this.codebook, true, this.config.beta);
    const input = quantized ? entries : l2Normalize(latents);
    const decoded = this.layers.decodeEntries(input);
    return { pixels: decoded, latents, codes, loss: quantized ? loss : tf.scalar(0) };
  }

  /**
   * The tokenizer's training loss: mean |x - y| + 2 mean (x - y)^2 + the codebook's. Neither a perceptual nor an
   * adversarial term: pictograms have flat colors and hard edges, and nothing to be imagined.
   * @param entropyWeight of {@link entropy}. Default 0
   */
  loss(
    pixels: tf.Tensor4D,
    quantized = true,
    entropyWeight = 0,
  ): { loss: tf.Scalar; metrics: Record<'l1' | 'l2' | 'codebook' | 'used', tf.Scalar> } {
    const out = this.reconstruct(pixels, quantized);
    const difference = tf.sub(out.pixels, pixels);
    const l1 = tf.mean<tf.Scalar>(tf.abs(difference));
    const l2 = tf.mean<tf.Scalar>(tf.square(difference));
    const used = codesInUse(out.codes, this.codebook.shape[0]);
    const terms = [l1, tf.mul<tf.Scalar>(l2, 2), out.loss];
    if (entropyWeight > 0) terms.push(tf.mul<tf.Scalar>(this.entropy(out.latents), entropyWeight));
    return { loss: tf.addN(terms), metrics: { l1, l2, codebook: out.loss, used } };
  }

  /**
   * How far the use of the codebook is from even, while each latent is sure of its code (LlamaGen's and MAGVIT-v2's
   * entropy loss): mean entropy of the latents' soft assignments minus the entropy of their mean, nats. Every code gets
   * a gradient, also those that no latent is nearest to.
   * @param latents `[..., embed_dim]`
   * @param temperature squared distances between directions are divided by it. Default 0.01, as LlamaGen
   */
  entropy(latents: tf.Tensor, temperature = 0.01): tf.Scalar {
    return tf.tidy(() => {
      const z = l2Normalize(tf.reshape(latents, [-1, latents.shape[latents.rank - 1]]));
      const e = l2Normalize(this.codebook);
      // -|z - e|^2 = 2 z e - 2 for unit vectors; the constant changes no softmax.
      const cosines = inFloat32(() => tf.matMul(z, e, false, true));
      const logProbs = logSoftmax(tf.mul(cosines, 2 / temperature));
      const probs = tf.exp(logProbs);
      const each = tf.neg(tf.sum(tf.mul(probs, logProbs), -1));
      const mean = tf.mean(probs, 0);
      const ofMean = tf.neg(tf.sum(tf.mul(mean, tf.log(tf.add(mean, 1e-8)))));
      return tf.sub<tf.Scalar>(tf.mean(each), ofMean);
    });
  }

  /**
   * Puts every code that the images do not use to a latent of theirs, drawn in proportion to its squared distance from
   * the code that it has now (k-means++, Arthur and Vassilvitskii 2007).
   * @param pixels `[images, height, width, 3]` in [-1, 1]
   * @returns how many codes were unused
   */
  restartUnusedCodes(pixels: tf.Tensor4D, rng: Rng): number {
    const codebook = this.codebook as tf.Variable<tf.Rank.R2>;
    const [count, dim] = codebook.shape;
    return tf.tidy(() => {
      const directions = l2Normalize(tf.reshape<tf.Rank.R2>(this.latents(pixels), [-1, dim]));
      const cosines = tf.matMul(directions, l2Normalize(codebook), false, true);
      const used = new Set(tf.argMax(cosines, 1).dataSync<'int32'>());
      const unused = Array.from({ length: count }, (_, code) => code).filter((code) => !used.has(code));
      const distances = tf.relu(tf.sub(1, tf.max(cosines, 1))).dataSync<'float32'>();
      const upTo = runningSum(distances);
      const values = directions.dataSync<'float32'>();
      const rows = Float32Array.from(codebook.dataSync<'float32'>());
      for (const code of unused) {
        const from = firstAbove(upTo, rng.uniform() * upTo[upTo.length - 1]) * dim;
        // Entries keep about the length that fresh ones have; a little noise tells two of one latent apart.
        for (let k = 0; k < dim; k++) rows[code * dim + k] = values[from + k] * Math.sqrt(dim) + 0.03 * rng.normal();
      }
      codebook.assign(tf.tensor2d(rows, [count, dim]));
      return unused.length;
    });
  }

  private get codebook(): tf.Tensor2D {
    return this.layers.codebook;
  }
}

/** Sums up to and with each value, a little added so that all-equal latents can be drawn, too. */
function runningSum(values: ArrayLike<number>): Float64Array {
  const out = new Float64Array(values.length);
  let sum = 0;
  for (let i = 0; i < values.length; i++) out[i] = sum += values[i] + 1e-7;
  return out;
}

/** The first place whose sum is above `x`, by halving. */
function firstAbove(sums: Float64Array, x: number): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle] > x) high = middle;
    else low = middle + 1;
  }
  return low;
}
