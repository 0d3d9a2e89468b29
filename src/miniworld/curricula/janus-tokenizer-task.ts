/** Training Janus' image tokenizer: reconstruction of images through a codebook all of which is used. */
import { type Rng, type tf } from '../../engine';
import { isTokenizerParameter, JanusImageTokenizer } from '../../models/janus/image-tokenizer';
import type { JanusNetwork } from '../../models/janus/network';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { type ImageSource } from './showo-tokenizer-task';

/** The variables of a network whose names fit. */
export function partOf(network: JanusNetwork, isPart: (name: string) => boolean): Record<string, tf.Variable> {
  return Object.fromEntries(Object.entries(network.layers.variables()).filter(([name]) => isPart(name)));
}

export interface TokenizerTrainingOptions {
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
  /** Weight of the entropy loss, see `JanusImageTokenizer.entropy`. Default 0. */
  readonly entropyWeight?: number;
}

export interface TokenizerBatch {
  /** `[batch, height, width, 3]` in [-1, 1]. */
  readonly pixels: tf.Tensor4D;
  readonly quantized: boolean;
}

/** How often the codebook is laid out anew when its use begins: each time the places that are worst served get codes. */
const FIRST_LAYOUTS = 3;

/**
 * The tokenizer's task, with the loss of `JanusImageTokenizer`.
 *
 * Codes that no image uses get no gradient and would stay unused; every `restartEvery` steps they are put where
 * latents of fresh images are (as k-means restarts empty clusters). What is done depends on the step and the weights
 * alone, so a resumed run repeats it.
 */
export function janusTokenizerTask(
  network: JanusNetwork,
  source: ImageSource,
  options: TokenizerTrainingOptions,
): SupervisedTask<TokenizerBatch> {
  const { batch, size, plainUntil = 0, restartEvery = 50, restartUntil = 0, probe = 96, entropyWeight = 0 } = options;
  const tokenizer = new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel);
  const images = (count: number, rng: Rng) => {
    const bytes = Array.from({ length: count }, (_, i) => source(rng.split(i)));
    return pixelsTensor(bytes, size, size);
  };
  const layOut = (times: number, rng: Rng) => {
    const pixels = images(probe, rng.split('probe'));
    for (let i = 0; i < times; i++) tokenizer.restartUnusedCodes(pixels, rng.split(`restart ${i}`));
    pixels.dispose();
  };
  return {
    name: 'janus-vq',
    variables: partOf(network, isTokenizerParameter),
    batch: (step, rng) => {
      if (restartUntil > 0 && step === plainUntil) layOut(FIRST_LAYOUTS, rng);
      else if (step > plainUntil && step <= restartUntil && (step - plainUntil) % restartEvery === 0) layOut(1, rng);
      return { pixels: images(batch, rng), quantized: step >= plainUntil };
    },
    loss: ({ pixels, quantized }) => tokenizer.loss(pixels, quantized, entropyWeight),
  };
}
