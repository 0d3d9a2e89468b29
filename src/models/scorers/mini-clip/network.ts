/** MiniClip's two encoders: a conv net for images, two transformer blocks for captions, one space for both. */
import { attention, embedding, geluTanh, layerNorm, linear, tf } from '../../../engine';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
import { declareTrunk, trunk, type TrunkConfig, trunkStride } from '../../../nn/trunk';

export interface MiniClipConfig {
  readonly trunk: TrunkConfig;
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

/** A step cheaper than the reader's: contrast needs large batches more than depth. */
const TRUNK: TrunkConfig = { channels: [32, 64, 128], blocks: [0, 0, 1] };

/** The configuration that ships; `vocabulary` is the mini world's. */
export function miniClipConfig(vocabulary: number): MiniClipConfig {
  return {
    trunk: TRUNK,
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
const BLOCKED = -1e9;

export function miniClipSpecs(config: MiniClipConfig): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  const { width, layers } = config;
  const channels = config.trunk.channels[config.trunk.channels.length - 1];
  const places = (config.imageSize / trunkStride(config.trunk)) ** 2;
  const dense = (name: string, out: number, inp: number, std = inp ** -0.5) => {
    specs[`${name}.weight`] = { shape: [out, inp], init: { normal: std } };
    specs[`${name}.bias`] = { shape: [out], init: { constant: 0 } };
  };
  const norm = (name: string, size: number) => {
    specs[`${name}.weight`] = { shape: [size], init: { constant: 1 } };
    specs[`${name}.bias`] = { shape: [size], init: { constant: 0 } };
  };
  declareTrunk(specs, 'visual.trunk', config.trunk);
  specs['visual.position'] = { shape: [places, channels], init: { normal: 0.02 } };
  dense('visual.mix', channels, channels);
  dense('visual.projection', config.embedding, 2 * channels);
  specs['text.token.weight'] = { shape: [config.vocabulary, width], init: { normal: 0.1 } };
  specs['text.position'] = { shape: [config.maxTokens, width], init: { normal: 0.02 } };
  for (let i = 0; i < layers; i++) {
    norm(`text.${i}.ln_1`, width);
    for (const part of ['q', 'k', 'v']) dense(`text.${i}.attn.${part}`, width, width);
    dense(`text.${i}.attn.out`, width, width, (2 * layers * width) ** -0.5);
    norm(`text.${i}.ln_2`, width);
    dense(`text.${i}.mlp.fc1`, 2 * width, width);
    dense(`text.${i}.mlp.fc2`, width, 2 * width, (4 * layers * width) ** -0.5);
  }
  norm('text.ln_final', width);
  dense('text.projection', config.embedding, width);
  specs.logit_scale = { shape: [1], init: { constant: Math.log(1 / 0.07) } };
  return specs;
}

const dense = (p: Parameters, name: string, x: tf.Tensor) => linear(x, p.get(`${name}.weight`), p.get(`${name}.bias`));
const normed = (p: Parameters, name: string, x: tf.Tensor) =>
  layerNorm(x, p.get(`${name}.weight`) as tf.Tensor1D, p.get(`${name}.bias`) as tf.Tensor1D, NORM_EPS);

/** @param pixels `[batch, 64, 64, 3]` in [-1, 1] @throws RangeError for another shape */
export function imageFeatures(p: Parameters, config: MiniClipConfig, pixels: tf.Tensor4D): ImageFeatures {
  if (pixels.shape[1] !== config.imageSize || pixels.shape[2] !== config.imageSize) {
    throw new RangeError(
      `mini_clip sees images [batch, ${config.imageSize}, ${config.imageSize}, 3], got [${pixels.shape}]`,
    );
  }
  return tf.tidy(() => {
    const map = trunk(p, 'visual.trunk', config.trunk, pixels);
    const [batch, rows, columns, channels] = map.shape;
    const placed = tf.add(tf.reshape(map, [batch, rows * columns, channels]), p.get('visual.position'));
    const patches = geluTanh(dense(p, 'visual.mix', placed)) as tf.Tensor3D;
    return { patches, pooled: tf.concat([tf.mean(patches, 1), tf.max(patches, 1)], 1) as tf.Tensor2D };
  });
}

/** Images -> unit vectors `[batch, embedding]`. */
export function imageEmbeddings(p: Parameters, config: MiniClipConfig, pixels: tf.Tensor4D): tf.Tensor2D {
  return tf.tidy(() => unit(dense(p, 'visual.projection', imageFeatures(p, config, pixels).pooled)));
}

/**
 * Captions -> unit vectors `[batch, embedding]`.
 * @param ids `[batch, tokens]` int32, 0 where padded; @param pads `[batch, tokens]`, 1 where a token is
 */
export function textEmbeddings(
  p: Parameters,
  config: MiniClipConfig,
  ids: tf.Tensor2D,
  present: tf.Tensor2D,
): tf.Tensor2D {
  return tf.tidy(() => {
    const [batch, tokens] = ids.shape;
    const { heads, width } = config;
    const mask = tf.reshape(tf.mul(tf.sub(1, present), BLOCKED), [batch, 1, 1, tokens]);
    let x = tf.add(
      embedding(p.get('text.token.weight'), ids),
      tf.slice(p.get('text.position') as tf.Tensor2D, 0, tokens),
    );
    for (let i = 0; i < config.layers; i++) {
      const h = normed(p, `text.${i}.ln_1`, x);
      const part = (name: string) =>
        tf.transpose(
          tf.reshape(dense(p, `text.${i}.attn.${name}`, h), [batch, tokens, heads, width / heads]),
          [0, 2, 1, 3],
        );
      const mixed = attention(part('q'), part('k'), part('v'), mask);
      x = tf.add(
        x,
        dense(p, `text.${i}.attn.out`, tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, tokens, width])),
      );
      x = tf.add(
        x,
        dense(p, `text.${i}.mlp.fc2`, geluTanh(dense(p, `text.${i}.mlp.fc1`, normed(p, `text.${i}.ln_2`, x)))),
      );
    }
    const shown = tf.mul(normed(p, 'text.ln_final', x), tf.expandDims(present, 2));
    const pooled = tf.div(tf.sum(shown, 1), tf.maximum(tf.sum(present, 1, true), 1));
    return unit(dense(p, 'text.projection', pooled));
  });
}

/** Rows scaled to length 1. */
function unit(x: tf.Tensor): tf.Tensor2D {
  return tf.div(x, tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), 1e-12)));
}
