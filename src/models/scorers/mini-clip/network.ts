/** MiniClip's two encoders: a conv net for images, two transformer blocks for captions, one space for both. */
import { geluTanh, tf } from '../../../engine';
import { BLOCKED } from '../../../nn/causal-mask';
import { backboneFeatures, backboneStride, ConvBackbone, type ConvBackboneConfig } from '../../../nn/conv-backbone';
import { EncoderBlock, type EncoderParts, runBlocks } from '../../../nn/encoder';
import { Embedding, LayerNorm, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';

export interface MiniClipConfig {
  /** The conv net that looks at images. */
  readonly trunk: ConvBackboneConfig;
  /** Side of the images in pixels. */
  readonly imageSize: number;
  /** Text ids; 0 is padding. */
  readonly vocabulary: number;
  /** Longest caption in tokens. */
  readonly maxTokens: number;
  /** Width, blocks and heads of the text encoder. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Size of the common space. */
  readonly embedding: number;
}

/** A step cheaper than the scene detector's: contrast needs large batches more than depth. */
const BACKBONE: ConvBackboneConfig = { channels: [32, 64, 128], blocks: [0, 0, 1] };

/** The configuration that ships; `vocabulary` is the mini world's. */
export function miniClipConfig(vocabulary: number): MiniClipConfig {
  return {
    trunk: BACKBONE,
    imageSize: 64,
    vocabulary,
    maxTokens: 64,
    width: 128,
    layers: 2,
    heads: 4,
    embedding: 128,
  };
}

/** Features of an image before the common space. */
export interface ImageFeatures {
  /** `[batch, places, channels]`, row by row: what the image shows where. */
  readonly patches: tf.Tensor3D;
  /** `[batch, 2 channels]`: mean and maximum over the places. */
  readonly pooled: tf.Tensor2D;
}

const NORM_EPS = 1e-5;

/** A linear layer whose outputs begin with the variance of its inputs. @param share of the standard deviation */
function dense(inputs: number, outputs: number, std = inputs ** -0.5): Linear {
  return new Linear(inputs, outputs, { std });
}

class Visual extends Module<MiniClipConfig> {
  private readonly channels = backboneFeatures(this.config.trunk);
  private readonly places = (this.config.imageSize / backboneStride(this.config.trunk)) ** 2;
  readonly trunk = new ConvBackbone(this.config.trunk);
  readonly position = new Parameter<tf.Tensor2D>([this.places, this.channels], { normal: 0.02 });
  readonly mix = dense(this.channels, this.channels);
  readonly projection = dense(2 * this.channels, this.config.embedding);

  /** @param pixels `[batch, 64, 64, 3]` in [-1, 1] @throws RangeError for another shape */
  features(pixels: tf.Tensor4D): ImageFeatures {
    const { imageSize: side } = this.config;
    if (pixels.shape[1] !== side || pixels.shape[2] !== side)
      throw new RangeError(`mini_clip sees images [batch, ${side}, ${side}, 3], got [${pixels.shape}]`);
    return tf.tidy(() => {
      const map = this.trunk.forward(pixels);
      const flat = tf.reshape<tf.Rank.R3>(map, [map.shape[0], this.places, this.channels]);
      const placed = tf.add<tf.Tensor3D>(flat, this.position.value);
      const patches = geluTanh(this.mix.forward(placed)) as tf.Tensor3D;
      return { patches, pooled: tf.concat([tf.mean<tf.Tensor2D>(patches, 1), tf.max<tf.Tensor2D>(patches, 1)], 1) };
    });
  }
}

class TextBlock extends EncoderBlock {
  private readonly residualStd = (2 * this.config.layers * this.config.hidden) ** -0.5;
  readonly ln_1 = this.newNorm();
  readonly attn = {
    q: dense(this.config.hidden, this.config.hidden),
    k: dense(this.config.hidden, this.config.hidden),
    v: dense(this.config.hidden, this.config.hidden),
    out: dense(this.config.hidden, this.config.hidden, this.residualStd),
  };
  readonly ln_2 = this.newNorm();
  readonly mlp = {
    fc1: dense(this.config.hidden, this.config.intermediate),
    fc2: dense(
      this.config.intermediate,
      this.config.hidden,
      (2 * this.config.layers * this.config.intermediate) ** -0.5,
    ),
  };

  protected parts(): EncoderParts {
    const { q: query, k: key, v: value, out: output } = this.attn;
    const { fc1: up, fc2: down } = this.mlp;
    return { norm1: this.ln_1, project: { query, key, value }, output, norm2: this.ln_2, up, down };
  }
}

/** Its blocks are named by number, `0.attn.q.weight`, beside the rest. */
class Text extends Module<MiniClipConfig> {
  readonly [block: number]: TextBlock;
  readonly token = new Embedding(this.config.vocabulary, this.config.width, 0.1);
  readonly position = new Parameter<tf.Tensor2D>([this.config.maxTokens, this.config.width], { normal: 0.02 });
  readonly ln_final = new LayerNorm(this.config.width, NORM_EPS);
  readonly projection = dense(this.config.width, this.config.embedding);

  constructor(config: MiniClipConfig) {
    super(config);
    const { width: hidden, layers, heads } = config;
    const block = { hidden, layers, heads, intermediate: 2 * hidden, eps: NORM_EPS, activation: 'gelu_new' };
    Object.assign(
      this,
      Array.from({ length: layers }, () => new TextBlock(block)),
    );
  }

  /** @param ids `[batch, tokens]` int32, 0 where padded @param present `[batch, tokens]`, 1 where a token is */
  forward(ids: tf.Tensor2D, present: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const [batch, tokens] = ids.shape;
      const mask = tf.reshape(tf.mul(tf.sub(1, present), BLOCKED), [batch, 1, 1, tokens]);
      const placed = tf.add<tf.Tensor3D>(this.token.forward(ids), tf.slice(this.position.value, 0, tokens));
      const blocks = Array.from({ length: this.config.layers }, (_, i) => this[i]);
      const shown = tf.mul(this.ln_final.forward(runBlocks(blocks, placed, mask)), tf.expandDims(present, 2));
      const pooled = tf.div<tf.Tensor2D>(tf.sum(shown, 1), tf.maximum(tf.sum(present, 1, true), 1));
      return this.projection.forward(pooled);
    });
  }
}

export class MiniClipNetwork extends Module<MiniClipConfig> {
  readonly visual = new Visual(this.config);
  readonly text = new Text(this.config);
  readonly logit_scale = new Parameter<tf.Tensor1D>([1], { constant: Math.log(1 / 0.07) });

  /** Images -> unit vectors `[batch, embedding]`. */
  imageEmbeddings(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => unit(this.visual.projection.forward(this.visual.features(pixels).pooled)));
  }

  /** Captions -> unit vectors `[batch, embedding]`; see {@link Text.forward}. */
  textEmbeddings(ids: tf.Tensor2D, present: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => unit(this.text.forward(ids, present)));
  }
}

/** Rows scaled to length 1. */
function unit(x: tf.Tensor2D): tf.Tensor2D {
  return tf.div(x, tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), 1e-12)));
}
