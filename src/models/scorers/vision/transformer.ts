/**
 * The vision transformer (Dosovitskiy et al. 2021) as DINO's ViT and DINOv2 have it: patches, a class token, learned
 * positions, pre-norm blocks, a last norm. Names are transformers'. Frozen: gradients leave its weights alone.
 */
import { tf } from '../../../engine';
import type { ImageProcessor, Image } from '../../../io';
import { activation } from '../../../nn/activations';
import {
  declareEncoder,
  declareLayerNorm,
  declareLinear,
  encode,
  type EncoderConfig,
  type EncoderNames,
  namedLayerNorm,
} from '../../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
import { embedInBatches } from './batches';
import { imageTokens, type ImageGrid } from './tokens';

export interface VisionConfig extends EncoderConfig, ImageGrid {
  /** What is made of the class token: a layer's output, the token itself, or nothing. */
  readonly pooler?: { readonly size: number; readonly activation: string } | 'class token';
  /** Which of the two it is. DINOv2 stretches its positions to images of any size without being asked. */
  readonly model: 'vit' | 'dinov2';
  /** Shape of the learned stand-in for a hidden patch; training needs it, features do not. */
  readonly maskToken?: readonly number[];
}

/** What one forward pass gives; every tensor is the caller's to dispose. */
export interface VisionOutput {
  /** After the last norm, `[batch, 1 + patches, hidden]`; the class token first. */
  readonly lastHiddenState: tf.Tensor3D;
  /** `[batch, size]`: the pooler's output where there is one. */
  readonly poolerOutput?: tf.Tensor2D;
  /** What enters the first block, then every block's output, `[batch, 1 + patches, hidden]` each. Only when asked for. */
  readonly hiddenStates?: readonly tf.Tensor3D[];
}

export interface VisionForwardOptions {
  /** Stretches the positions to images of another size than the configuration's. Default: as the model does. */
  readonly interpolatePositions?: boolean;
  /** Keeps what goes into and out of every block. Default false. */
  readonly hiddenStates?: boolean;
}

/** Every parameter by its upstream name. @throws RangeError for widths that heads do not divide */
export function visionSpecs(config: VisionConfig, names: EncoderNames): Record<string, ParameterSpec> {
  const { hidden, channels, patch, grid } = config;
  const specs: Record<string, ParameterSpec> = {
    'embeddings.cls_token': { shape: [1, 1, hidden], init: { normal: 0.02 } },
    'embeddings.position_embeddings': { shape: [1, 1 + grid[0] * grid[1], hidden], init: { normal: 0.02 } },
    'embeddings.patch_embeddings.projection.weight': {
      shape: [hidden, channels, ...patch],
      init: { normal: 0.02 },
      layout: 'conv',
    },
    'embeddings.patch_embeddings.projection.bias': { shape: [hidden], init: { constant: 0 } },
  };
  if (config.maskToken) specs['embeddings.mask_token'] = { shape: config.maskToken, init: { constant: 0 } };
  declareEncoder(specs, 'encoder.layer', config, names);
  declareLayerNorm(specs, 'layernorm', hidden);
  if (typeof config.pooler === 'object') declareLinear(specs, 'pooler.dense', hidden, config.pooler.size);
  return specs;
}

export class VisionTransformer {
  protected constructor(
    readonly config: VisionConfig,
    private readonly names: EncoderNames,
    readonly parameters: Parameters,
    /** Makes of images what {@link VisionTransformer.forward} takes. */
    readonly processor: ImageProcessor,
  ) {}

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
    const p = this.parameters;
    const { config } = this;
    const kept: tf.Tensor3D[] = [];
    const found = tf.tidy(() => {
      const embeddings = imageTokens(
        pixels,
        {
          weight: p.get('embeddings.patch_embeddings.projection.weight') as tf.Tensor4D,
          bias: p.get('embeddings.patch_embeddings.projection.bias'),
          classToken: p.get('embeddings.cls_token'),
          positions: p.get('embeddings.position_embeddings'),
        },
        config,
        interpolatePositions,
      );
      if (hiddenStates) kept.push(embeddings);
      const keep = hiddenStates ? (output: tf.Tensor3D) => kept.push(output) : undefined;
      const last = encode(p, 'encoder.layer', config, this.names, embeddings, null, keep);
      const lastHiddenState = namedLayerNorm(p, 'layernorm', last, config.eps) as tf.Tensor3D;
      const out: Record<string, tf.Tensor> = { lastHiddenState };
      const pooled = this.pool(lastHiddenState);
      if (pooled) out.poolerOutput = pooled;
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
      tf.slice(this.forward(pixels, { ...options, hiddenStates: false }).lastHiddenState, [0, 1, 0], [-1, -1, -1]),
    );
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

  private pool(lastHiddenState: tf.Tensor3D): tf.Tensor2D | undefined {
    const { pooler } = this.config;
    if (pooler === undefined) return undefined;
    const token = classToken(lastHiddenState);
    if (pooler === 'class token') return token;
    return activation(pooler.activation)(this.parameters.linear('pooler.dense', token)) as tf.Tensor2D;
  }
}

/** `[batch, tokens, hidden]` -> its first token, `[batch, hidden]`. */
export function classToken(states: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => tf.squeeze<tf.Tensor2D>(tf.slice(states, [0, 0, 0], [-1, 1, -1]), [1]));
}
