/**
 * The vision transformer (Dosovitskiy et al. 2021) as DINO's ViT and DINOv2 have it: patches, a class token, learned
 * positions, pre-norm blocks, a last norm. Names are transformers'. Frozen: gradients leave its weights alone.
 */
import { readValues, tf } from '../../../engine';
import type { ImageProcessor, Image } from '../../../io';
import type { ParamStore } from '../../../nn/store';
import { l2Normalize } from '../../../nn/vqgan-codebook';
import type { FrozenNetwork } from '../bert/load';
import { embedInBatches } from './batches';
import type { VisionConfig, VisionNetwork } from './network';
import { classToken } from './tokens';

/** What one forward pass gives; every tensor is the caller's to dispose. */
export interface VisionOutput {
  /** After the last norm, `[batch, 1 + registers + patches, hidden]`; the class token first. */
  readonly lastHiddenState: tf.Tensor3D;
  /** `[batch, size]`: the pooler's output where there is one. */
  readonly poolerOutput?: tf.Tensor2D;
  /** What enters the first block, then every block's output, `[batch, 1 + patches, hidden]` each. Only when asked for. */
  readonly hiddenStates?: readonly tf.Tensor3D[];
}

/** Vectors of an image's patches, row by row. */
export interface PatchFeatures {
  readonly count: number;
  /** Length of a vector. */
  readonly size: number;
  /** `[count, size]`, each row of length 1. */
  readonly values: Float32Array;
}

export interface VisionForwardOptions {
  /** Stretches the positions to images of another size than the configuration's. Default: as the model does. */
  readonly interpolatePositions?: boolean;
  /** Keeps what goes into and out of every block. Default false. */
  readonly hiddenStates?: boolean;
}

export class VisionTransformer {
  readonly config: VisionConfig;
  readonly parameters: ParamStore;
  private readonly net: VisionNetwork;

  protected constructor(
    { net, parameters }: FrozenNetwork<VisionNetwork>,
    /** Makes of images what {@link VisionTransformer.forward} takes. */
    readonly processor: ImageProcessor,
  ) {
    this.config = net.config;
    this.net = net;
    this.parameters = parameters;
  }

  /** Length of a feature vector. */
  get size(): number {
    return this.config.hidden;
  }

  /**
   * @param pixels `[batch, height, width, channels]`, as the processor makes them
   * @throws RangeError for other shapes, and for another size than the configuration's unless positions are interpolated
   */
  forward(pixels: tf.Tensor4D, options: VisionForwardOptions = {}): VisionOutput {
    const { interpolatePositions = this.config.model === 'dinov2', hiddenStates = false } = options;
    const kept: tf.Tensor3D[] = [];
    const found = tf.tidy(() => {
      const { lastHiddenState, poolerOutput } = this.net.forward(
        pixels,
        interpolatePositions,
        hiddenStates ? (state) => kept.push(state) : undefined,
      );
      const out: Record<string, tf.Tensor> = { lastHiddenState };
      if (poolerOutput) out.poolerOutput = poolerOutput;
      kept.forEach((state, i) => (out[i] = state));
      return out;
    });
    return {
      lastHiddenState: found.lastHiddenState as tf.Tensor3D,
      ...(found.poolerOutput ? { poolerOutput: found.poolerOutput as tf.Tensor2D } : {}),
      ...(hiddenStates ? { hiddenStates: kept } : {}),
    };
  }

  /** The class token after the last norm, `[batch, hidden]`: the image's feature in DINO's evaluations. */
  classFeatures(pixels: tf.Tensor4D, options: VisionForwardOptions = {}): tf.Tensor2D {
    return tf.tidy(() => classToken(this.forward(pixels, { ...options, hiddenStates: false }).lastHiddenState));
  }

  /** The patches' tokens after the last norm, `[batch, patches, hidden]`, row by row. */
  patchFeatures(pixels: tf.Tensor4D, options: VisionForwardOptions = {}): tf.Tensor3D {
    return tf.tidy(() =>
      tf.slice(
        this.forward(pixels, { ...options, hiddenStates: false }).lastHiddenState,
        [0, 1 + (this.config.registers ?? 0), 0],
        [-1, -1, -1],
      ),
    );
  }

  /** The patches' unit vectors of each image, of any size; `batch` (default 16) at a time. @throws RangeError for a broken image */
  async embedPatches(images: readonly Image[], batch = 16): Promise<PatchFeatures[]> {
    const out: PatchFeatures[] = [];
    for (let at = 0; at < images.length; at += batch) {
      const part = images.slice(at, at + batch);
      const flat = readValues(() => {
        const patches = this.patchFeatures(this.processor.process(part), { interpolatePositions: true });
        return l2Normalize(patches);
      });
      const each = flat.length / part.length;
      const size = this.config.hidden;
      part.forEach((_, i) => out.push({ count: each / size, size, values: flat.slice(i * each, (i + 1) * each) }));
    }
    return out;
  }

  /** The class token's vector of each image, of any size; `batch` (default 16) at a time. @throws RangeError for a broken image */
  embed(images: readonly Image[], batch = 16): Promise<Float32Array[]> {
    return embedInBatches(images, batch, (part) =>
      tf.tidy(() => this.classFeatures(this.processor.process(part), { interpolatePositions: true })),
    );
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
