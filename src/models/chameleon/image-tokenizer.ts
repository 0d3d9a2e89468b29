/** Chameleon's VQGAN: images to codes and back, and the loss that trains it. */
import { readValues, releaseTraced, type Rng, tf } from '../../engine';
import { codesInUse } from '../../nn/vqgan-codebook';
import type { Image } from '../../io';
import { ParamStore } from '../../nn/store';
import { Vqgan } from '../../nn/vqgan';
import { nearestCodes } from '../../nn/vqgan-codebook';
import { encodeInPasses } from '../passes';
import type { ImageTokenizer } from '../unified';
import { type ChameleonConfig, defaultGrid } from './config';

export class ChameleonImageTokenizer implements ImageTokenizer {
  readonly grid: readonly [rows: number, columns: number];
  readonly stride: number;

  /** @param numbers of a VQGAN; none: codes only, and encoding or decoding is an error */
  private constructor(
    config: ChameleonConfig,
    private readonly network: Vqgan | undefined,
    private readonly numbers: ParamStore | undefined,
  ) {
    this.grid = defaultGrid(config);
    this.stride = new Vqgan(config.vq).stride;
  }

  /**
   * @param layers without numbers; none: codes only, and encoding or decoding is an error
   * @param store their numbers; disposed with the tokenizer
   * @throws RangeError when it has another number of codes than the configuration says
   */
  static of(config: ChameleonConfig, layers?: Vqgan, store?: ParamStore): ChameleonImageTokenizer {
    if (layers && layers.config.n_embed !== config.vq.n_embed)
      throw new RangeError(
        `the image tokenizer has ${layers.config.n_embed} codes, the configuration says ${config.vq.n_embed}`,
      );
    return new ChameleonImageTokenizer(config, layers && store ? layers.with(store) : undefined, store);
  }

  static random(config: ChameleonConfig, rng: Rng): ChameleonImageTokenizer {
    const layers = new Vqgan(config.vq);
    return ChameleonImageTokenizer.of(config, layers, ParamStore.random(layers, rng));
  }

  /** The VQGAN's numbers, by taming-transformers' names; undefined when the checkpoint had none. */
  get store(): ParamStore | undefined {
    return this.numbers;
  }

  /** @throws Error when the checkpoint had none */
  get vqgan(): Vqgan {
    if (!this.network) {
      const reason = 'its checkpoint holds none, and there is no folder vqgan/ beside it';
      throw new Error(`this Chameleon was loaded without an image tokenizer: ${reason}`);
    }
    return this.network;
  }

  /** Codes of each image, row by row; images of one size are encoded together. */
  encode(images: readonly Image[]): Int32Array[] {
    const codes = new Map<Image, Int32Array>();
    const sizes = new Set(images.map(({ width, height }) => `${width} x ${height}`));
    for (const size of sizes) {
      const alike = [...new Set(images)].filter(({ width, height }) => `${width} x ${height}` === size);
      encodeInPasses(alike, (pixels) => this.vqgan.encode(pixels)).forEach((row, i) => codes.set(alike[i], row));
    }
    return images.map((image) => codes.get(image) as Int32Array);
  }

  /** Pixels `[batch, height, width, 3]` in [-1, 1] -> the codes of each image. */
  encodePixels(pixels: tf.Tensor4D): Int32Array[] {
    const flat = readValues<'int32'>(() => this.vqgan.encode(pixels));
    const count = flat.length / pixels.shape[0];
    return Array.from({ length: pixels.shape[0] }, (_, i) => flat.slice(i * count, (i + 1) * count));
  }

  /** Codes of images of one grid -> pixels `[images, height, width, 3]`, about [-1, 1], not clipped. */
  decode(codes: readonly ArrayLike<number>[], grid: readonly [number, number] = this.grid): tf.Tensor4D {
    return this.vqgan.decode(codes, grid);
  }

  dispose(): void {
    releaseTraced(this);
    this.numbers?.dispose();
  }
}

/** What a step of the tokenizer's training is made of, and what is logged. */
export interface VqganLoss {
  readonly loss: tf.Scalar;
  readonly metrics: Record<'l1' | 'l2' | 'codebook' | 'used', tf.Scalar>;
}

/**
 * Mean |x - y| + 2 mean (x - y)^2 + the codebook's loss. Neither a perceptual nor an adversarial term: pictograms have
 * flat colors and hard edges, and nothing to be imagined.
 * @param pixels `[batch, height, width, 3]` in [-1, 1]
 * @param plain whether the codebook is passed by: an untrained encoder moves fastest so
 */
export function vqganLoss(tokenizer: Vqgan, pixels: tf.Tensor4D, plain: boolean): VqganLoss {
  const out = plain ? plainPass(tokenizer, pixels) : tokenizer.reconstruct(pixels);
  const difference = tf.sub(out.pixels, pixels);
  const l1 = tf.mean<tf.Scalar>(tf.abs(difference));
  const l2 = tf.mean<tf.Scalar>(tf.square(difference));
  const used = codesInUse(out.codes, tokenizer.codebook.shape[0]);
  return {
    loss: tf.addN([l1, tf.mul(l2, 2), out.loss]) as tf.Scalar,
    metrics: { l1, l2, codebook: out.loss, used },
  };
}

/** A pass around the codebook: the losses of an autoencoder. Every variable must have a gradient, the codebook's is 0. */
function plainPass(tokenizer: Vqgan, pixels: tf.Tensor4D): ReturnType<Vqgan['reconstruct']> {
  const latents = tokenizer.encodeContinuous(pixels);
  return {
    pixels: tokenizer.decodeEntries(latents),
    codes: nearestCodes(latents, tokenizer.codebook, tokenizer.config.l2_norm) as tf.Tensor3D,
    loss: tf.mul(tf.sum<tf.Scalar>(tokenizer.codebook), 0),
  };
}

/**
 * One step of k-means on the codebook: a code that the images use goes to the mean of its latents, one that they do
 * not use near a random latent of theirs.
 * @param pixels `[images, height, width, 3]` in [-1, 1]
 * @returns how many codes were unused
 */
export function refreshCodes(tokenizer: Vqgan, pixels: tf.Tensor4D, rng: Rng): number {
  const codebook = tokenizer.codebook as tf.Variable<tf.Rank.R2>;
  const [count, dim] = codebook.shape;
  const latents = readValues(() => tokenizer.encodeContinuous(pixels));
  const codes = readValues<'int32'>(() =>
    nearestCodes(tf.tensor2d(latents, [latents.length / dim, dim]), codebook, tokenizer.config.l2_norm),
  );
  const uses = new Int32Array(count);
  const rows = new Float32Array(count * dim);
  codes.forEach((code, i) => {
    uses[code]++;
    for (let k = 0; k < dim; k++) rows[code * dim + k] += latents[i * dim + k];
  });
  // Codes put at one latent must part: a little noise, measured by how far latents spread.
  const spread = 0.05 * Math.sqrt(latents.reduce((sum, value) => sum + value * value, 0) / latents.length);
  let unused = 0;
  for (let code = 0; code < count; code++) {
    const from = uses[code] > 0 ? -1 : rng.int(codes.length) * dim;
    if (from >= 0) unused++;
    for (let k = 0; k < dim; k++) {
      const at = code * dim + k;
      rows[at] = from < 0 ? rows[at] / uses[code] : latents[from + k] + spread * rng.normal();
    }
  }
  tf.tidy(() => codebook.assign(tf.tensor2d(rows, [count, dim])));
  return unused;
}
