/**
 * DreamSim (Fu et al. 2023): how different two images look to people, from layout and pose to meaning. Features of one
 * vision transformer, or of three side by side, adapted with LoRA to people's judgments, are compared by cosine. Frozen.
 */
import { readValues, type Rng, tf } from '../../engine';
import { type Image, imagesToTensor, type RawTensor, readSafetensors, resampleImage } from '../../io';
import { loadAdapters } from '../../nn/adapter-files';
import { CheckpointMismatchError } from '../../nn/checkpoint-fit';
import type { ParamStore } from '../../nn/store';
import { type FrozenNetwork, frozenFromTensors, randomFrozen } from './bert/load';
import { comparedVectors, cosineDistances } from './dreamsim/distance';
import {
  DREAMSIM_BACKBONES,
  type DreamSimBackbone,
  type DreamSimBackboneName,
  type DreamSimConfig,
  DreamSimNetwork,
  isClip,
} from './dreamsim/network';
import { embedInBatches } from './vision/batches';
import { imageGrid } from './vision/tokens';

export { DREAMSIM_BACKBONES, type DreamSimBackbone, type DreamSimBackboneName, type DreamSimConfig };

/** The backbones of the published ensemble. */
const ENSEMBLE = 'dino_vitb16+clip_vitb16+open_clip_vitb16';
/** Width of an attention head in every published backbone. */
const HEAD_WIDTH = 64;

export interface DreamSimOptions {
  /** Center each feature before it is compared, as the published function does. It changes the distance. Default true. */
  readonly normalize?: boolean;
}

export interface DreamSimFiles extends DreamSimOptions {
  /**
   * Each backbone's name and safetensors file, in the order of their features. A file has the backbone's own names
   * (`blocks.0.attn.qkv.weight`; a CLIP kind's `proj` too) or the whole model's (`extractor_list.0.model.blocks...`).
   */
  readonly backbones: readonly { readonly name: DreamSimBackboneName; readonly weights: string }[];
  /** Folder of adapters in PEFT's files; they are merged into the weights. Default: none, or merged already. */
  readonly adapters?: string;
  /** Safetensors file of a head, `mlp.fc1.*` and `mlp.fc2.*`. Default: none, as in the published variants. */
  readonly head?: string;
  /** Compare the class token and the mean of the patches' tokens (`dino_vitb16_patch`). Default false. */
  readonly patches?: boolean;
  /** Attention heads. Default: one for every 64 of a backbone's width. */
  readonly heads?: number;
}

export class DreamSim {
  readonly config: DreamSimConfig;
  readonly parameters: ParamStore;
  private readonly net: DreamSimNetwork;
  private readonly normalize: boolean;

  private constructor({ net, parameters }: FrozenNetwork<DreamSimNetwork>, { normalize = true }: DreamSimOptions) {
    this.config = net.config;
    this.net = net;
    this.parameters = parameters;
    this.normalize = normalize;
  }

  /** A frozen one with random weights. @throws RangeError for backbones that do not go together */
  static random(config: DreamSimConfig, rng: Rng, options: DreamSimOptions = {}): DreamSim {
    checkConfig(config);
    return new DreamSim(randomFrozen(new DreamSimNetwork(config), rng), options);
  }

  /**
   * Sizes are taken from the weights.
   * @throws CheckpointMismatchError listing every missing, unknown and mis-shaped tensor; RangeError for backbones that
   *   do not go together; SafetensorsError or Error for files that cannot be read
   */
  static async load(files: DreamSimFiles): Promise<DreamSim> {
    const tensors: Record<string, RawTensor> = {};
    const backbones: DreamSimBackbone[] = [];
    for (const [i, { name, weights }] of files.backbones.entries()) {
      const own = bare(await readSafetensors(weights), i);
      backbones.push(backboneOf(name, own, weights, files.heads));
      for (const [key, tensor] of Object.entries(own))
        tensors[`extractor_list.${i}.${key === 'proj' ? key : `model.${key}`}`] = tensor;
    }
    if (files.head !== undefined) Object.assign(tensors, await readSafetensors(files.head));
    const head = tensors['mlp.fc1.weight']?.shape[0];
    const config: DreamSimConfig = { backbones, patches: files.patches ?? false, head };
    checkConfig(config);
    const where = [...files.backbones.map(({ weights }) => weights), ...(files.head ? [files.head] : [])].join(' and ');
    const network = frozenFromTensors(new DreamSimNetwork(config), tensors, where);
    try {
      if (files.adapters !== undefined) await mergeAdapters(network.net, files.adapters);
    } catch (error) {
      network.parameters.dispose();
      throw error;
    }
    return new DreamSim(network, files);
  }

  /** The variant's published name, such as `ensemble` or `dino_vitb16_patch`; other sets: the backbones' names. */
  get variant(): string {
    const names = this.config.backbones.map(({ name }) => name).join('+');
    return `${names === ENSEMBLE ? 'ensemble' : names}${this.config.patches ? '_patch' : ''}`;
  }

  /** Images to what the network takes: stretched to its square with Pillow's bicubic filter, `[batch, side, side, 3]` in [0, 1]. */
  process(images: readonly Image[]): tf.Tensor4D {
    const [height, width] = this.config.backbones[0].image;
    const resized = images.map((image) => resampleImage(image, width, height, 'bicubic'));
    return tf.tidy(() => tf.div(tf.add<tf.Tensor4D>(imagesToTensor(resized), 1), 2));
  }

  /**
   * Features before they are centered, `[batch, size]`, or tokens `[batch, 1 + patches, width]`; the caller disposes them.
   * @param pixels as {@link DreamSim.process} makes them
   * @throws RangeError for pixels of another shape
   */
  features(pixels: tf.Tensor4D): tf.Tensor2D | tf.Tensor3D {
    return this.net.forward(pixels);
  }

  /** 1 - cosine of each pair, in [0, 2]; 0 for equal images. @param a as in {@link DreamSim.features} @param b the same shape */
  distance(a: tf.Tensor4D, b: tf.Tensor4D): Float32Array {
    if (a.shape.join() !== b.shape.join())
      throw new RangeError(`DreamSim compares images of one shape, got [${a.shape}] and [${b.shape}]`);
    return readValues(() => cosineDistances(this.vectors(a), this.vectors(b)));
  }

  /** The vector of each image, of any size, whose cosine with another's is 1 - distance; `batch` (default 16) at a time. */
  embed(images: readonly Image[], batch = 16): Promise<Float32Array[]> {
    return embedInBatches(images, batch, (part) => tf.tidy(() => this.vectors(this.process(part))));
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private vectors(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => comparedVectors(this.features(pixels), this.normalize));
  }
}

/** Adds the adapters to the network's own weights. */
async function mergeAdapters(net: DreamSimNetwork, folder: string): Promise<void> {
  const lora = await loadAdapters(net, folder);
  try {
    lora.merge();
  } finally {
    lora.unload();
  }
}

/** A backbone's tensors under its own names. */
function bare(tensors: Readonly<Record<string, RawTensor>>, index: number): Record<string, RawTensor> {
  const prefix = `extractor_list.${index}.model.`;
  const whole = Object.keys(tensors).some((name) => name.startsWith(prefix));
  if (!whole) return { ...tensors };
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Sizes of a backbone from the shapes of its weights. */
function backboneOf(
  name: DreamSimBackboneName,
  tensors: Readonly<Partial<Record<string, RawTensor>>>,
  where: string,
  heads?: number,
): DreamSimBackbone {
  const shape = (key: string, rank: number): readonly number[] => {
    const found = tensors[key]?.shape;
    if (found?.length === rank) return found;
    throw new CheckpointMismatchError(
      `${where}: ${name} needs ${key} with ${rank} axes, found ${found ? `[${found}]` : 'none'}`,
    );
  };
  const [, tokens, hidden] = shape('pos_embed', 3);
  const [, channels, height, width] = shape('patch_embed.proj.weight', 4);
  const [intermediate] = shape('blocks.0.mlp.fc1.weight', 2);
  const side = Math.sqrt(tokens - 1);
  if (!Number.isInteger(side) || side < 1)
    throw new CheckpointMismatchError(`${where}: ${tokens} positions are no class token and square of patches`);
  const numbers = Object.keys(tensors).map((key) => Number(/^blocks\.(\d+)\./.exec(key)?.[1] ?? 0));
  const { eps, activation } = DREAMSIM_BACKBONES[name];
  return {
    name,
    hidden,
    layers: 1 + Math.max(...numbers),
    heads: heads ?? Math.max(1, Math.round(hidden / HEAD_WIDTH)),
    intermediate,
    eps,
    activation,
    ...imageGrid([side * height, side * width], [height, width], channels),
    ...(isClip({ name }) ? { output: shape('proj', 2)[1] } : {}),
  };
}

/** @throws RangeError for backbones that do not go together */
function checkConfig({ backbones, patches }: DreamSimConfig): void {
  if (backbones.length === 0) throw new RangeError('DreamSim needs a backbone');
  const sizes = backbones.map(({ name, image }) => `${name} ${image.join(' x ')}`);
  if (new Set(backbones.map(({ image }) => image.join())).size > 1)
    throw new RangeError(`DreamSim's backbones must see images of one size, got ${sizes.join(', ')}`);
  if (patches && (backbones.length > 1 || isClip(backbones[0])))
    throw new RangeError(`DreamSim compares patches of one DINO backbone, got ${sizes.join(', ')}`);
}
