/** Training Janus' VQ tokenizer: reconstruction of images through a codebook all of which is used. */
import { readValues, type Rng, tf } from '../engine';
import { VQ, vqEntropy, vqLatents, vqReconstruct } from '../models/janus/generation';
import type { JanusModel } from '../models/janus/model';
import { l2Normalize } from '../nn/vqgan-codebook';
import type { SupervisedTask } from './loop';
import { type ImageSource, pixelsTensor } from './train-magvit';

const CODEBOOK = `${VQ}quantize.embedding.weight`;

/** Whether a parameter is the VQ tokenizer's, which this stage trains and the next leaves alone. */
export function isVq(name: string): boolean {
  return name.startsWith(VQ);
}

/** The variables of a model whose names fit. */
export function partOf(model: JanusModel, isPart: (name: string) => boolean): Record<string, tf.Variable> {
  return Object.fromEntries(Object.entries(model.parameters.variables).filter(([name]) => isPart(name)));
}

export interface VqTrainingOptions {
  /** Images a batch. */
  readonly batch: number;
  /** Height and width of the images, pixels. */
  readonly size: number;
  /**
   * First step that uses the codebook. Before it latents go to the decoder as they are: a fresh encoder's latents all
   * point one way, and through codes they would stay there. Default 0.
   */
  readonly plainUntil?: number;
  /** Steps between looks for unused codes, once codes are used. Default 50. */
  readonly restartEvery?: number;
  /** Last step that restarts unused codes; towards the end of training codes must rest. Default 0: never. */
  readonly restartUntil?: number;
  /** Images whose codes are looked at. Default 96. */
  readonly probe?: number;
  /** Weight of the entropy loss, see `vqEntropy`. Default 0. */
  readonly entropyWeight?: number;
}

export interface VqBatch {
  /** `[batch, height, width, 3]` in [-1, 1]. */
  readonly pixels: tf.Tensor4D;
  readonly quantized: boolean;
}

/** How often the codebook is laid out anew when its use begins: each time the places that are worst served get codes. */
const FIRST_LAYOUTS = 3;

/**
 * The tokenizer's task. Loss: mean |x - y| + 2 mean (x - y)^2 + the codebook's. Neither a perceptual nor an adversarial
 * term: pictograms have flat colors and hard edges, and nothing to be imagined.
 *
 * Codes that no image uses get no gradient and would stay unused; every `restartEvery` steps they are put where
 * latents of fresh images are (as k-means restarts empty clusters). What is done depends on the step and the weights
 * alone, so a resumed run repeats it.
 */
export function janusVqTask(
  model: JanusModel,
  source: ImageSource,
  options: VqTrainingOptions,
): SupervisedTask<VqBatch> {
  const { batch, size, plainUntil = 0, restartEvery = 50, restartUntil = 0, probe = 96, entropyWeight = 0 } = options;
  const images = (count: number, rng: Rng) =>
    pixelsTensor(Array.from({ length: count }, (_, i) => source(rng.split(i))), size, size); // prettier-ignore
  const layOut = (times: number, rng: Rng) => {
    const pixels = images(probe, rng.split('probe'));
    for (let i = 0; i < times; i++) restartUnusedCodes(model, pixels, rng.split(`restart ${i}`));
    pixels.dispose();
  };
  return {
    name: 'janus-vq',
    variables: partOf(model, isVq),
    batch: (step, rng) => {
      if (restartUntil > 0 && step === plainUntil) layOut(FIRST_LAYOUTS, rng);
      else if (step > plainUntil && step <= restartUntil && (step - plainUntil) % restartEvery === 0) layOut(1, rng);
      return { pixels: images(batch, rng), quantized: step >= plainUntil };
    },
    loss: ({ pixels, quantized }) => {
      const out = vqReconstruct(model.parameters, model.config, pixels, quantized);
      const difference = tf.sub(out.pixels, pixels);
      const l1 = tf.mean<tf.Scalar>(tf.abs(difference));
      const l2 = tf.mean<tf.Scalar>(tf.square(difference));
      const used = tf.scalar(new Set(readValues<'int32'>(() => tf.clone(out.codes))).size);
      const terms = [l1, tf.mul(l2, 2), out.loss];
      if (entropyWeight > 0) terms.push(tf.mul(vqEntropy(model.parameters, out.latents), entropyWeight));
      return { loss: tf.addN(terms) as tf.Scalar, metrics: { l1, l2, codebook: out.loss, used } };
    },
  };
}

/**
 * Puts every code that the images do not use to a latent of theirs, drawn in proportion to its squared distance from
 * the code that it has now (k-means++, Arthur and Vassilvitskii 2007).
 * @param pixels `[images, height, width, 3]` in [-1, 1]
 * @returns how many codes were unused
 */
export function restartUnusedCodes(model: JanusModel, pixels: tf.Tensor4D, rng: Rng): number {
  const codebook = model.parameters.variables[CODEBOOK] as tf.Variable<tf.Rank.R2>;
  const [count, dim] = codebook.shape;
  return tf.tidy(() => {
    const latents = vqLatents(model.parameters, model.config, pixels).latents;
    const directions = l2Normalize(tf.reshape<tf.Rank.R2>(latents, [-1, dim]));
    const likeness = tf.matMul(directions, l2Normalize(codebook), false, true);
    const used = new Set(tf.argMax(likeness, 1).dataSync<'int32'>());
    const unused = Array.from({ length: count }, (_, code) => code).filter((code) => !used.has(code));
    const distances = tf.relu(tf.sub(1, tf.max(likeness, 1))).dataSync<'float32'>();
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
