/** Janus' eyes: a SigLIP-like transformer over patches, and the aligner that takes its features to the language model. */
import { tf } from '../../engine';
import { activation } from '../../nn/activations';
import {
  declareEncoder,
  declareLayerNorm,
  declareLinear,
  encode,
  type EncoderConfig,
  type EncoderNames,
  namedLayerNorm,
} from '../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../nn/parameters';
import { embedPatches } from '../../nn/patches';
import { type JanusConfig, type JanusVisionConfig, visionTokens } from './config';

const TOWER = 'model.vision_model';
const ALIGNER = 'model.aligner';

/** Whether a parameter is the vision tower's; the aligner is not. */
export function isTower(name: string): boolean {
  return name.startsWith(`${TOWER}.`);
}

const NAMES: EncoderNames = {
  norm1: 'layer_norm1',
  project: { query: 'self_attn.q_proj', key: 'self_attn.k_proj', value: 'self_attn.v_proj' },
  output: 'self_attn.projection_layer',
  norm2: 'layer_norm2',
  up: 'mlp.fc1',
  down: 'mlp.fc2',
};

function encoderConfig(vision: JanusVisionConfig): EncoderConfig {
  return {
    hidden: vision.hidden_size,
    layers: vision.num_hidden_layers,
    heads: vision.num_attention_heads,
    intermediate: Math.floor(vision.hidden_size * vision.mlp_ratio),
    eps: vision.layer_norm_eps,
    activation: vision.hidden_act,
    qkvBias: vision.attention_bias,
  };
}

/** Declares the tower and the aligner under their upstream names. */
export function declareVision(specs: Record<string, ParameterSpec>, config: JanusConfig): void {
  const { vision } = config;
  const { hidden_size: d, num_channels: channels, patch_size: patch } = vision;
  const embeddings = `${TOWER}.embeddings`;
  specs[`${embeddings}.patch_embedding.weight`] = {
    shape: [d, channels, patch, patch],
    init: { normal: 1 / Math.sqrt(channels * patch * patch) },
    layout: 'conv',
  };
  specs[`${embeddings}.patch_embedding.bias`] = { shape: [d], init: { constant: 0 } };
  specs[`${embeddings}.position_embedding.weight`] = { shape: [visionTokens(config), d], init: { normal: 0.02 } };
  declareEncoder(specs, `${TOWER}.encoder.layers`, encoderConfig(vision), NAMES);
  declareLayerNorm(specs, `${TOWER}.post_layernorm`, d);
  declareMlp(specs, ALIGNER, d, vision.projection_dim, vision.depth);
}

/**
 * Features after the last norm.
 * @param pixels `[images, image_size, image_size, channels]` in [-1, 1]
 * @returns `[images, tokens, hidden]`
 * @throws RangeError for pixels of another shape
 */
export function visionFeatures(p: Parameters, config: JanusConfig, pixels: tf.Tensor4D): tf.Tensor3D {
  const { vision } = config;
  const expected = [vision.image_size, vision.image_size, vision.num_channels];
  if (pixels.shape.length !== 4 || pixels.shape.slice(1).join() !== expected.join())
    throw new RangeError(`the vision tower needs pixels [images, ${expected.join(', ')}], got [${pixels.shape}]`);
  return tf.tidy(() => {
    const at = `${TOWER}.embeddings`;
    const weight = p.get(`${at}.patch_embedding.weight`) as tf.Tensor4D;
    const patches = embedPatches(pixels, weight, p.get(`${at}.patch_embedding.bias`));
    const placed = tf.add<tf.Tensor3D>(patches, p.get(`${at}.position_embedding.weight`));
    const hidden = encode(p, `${TOWER}.encoder.layers`, encoderConfig(vision), NAMES, placed);
    return namedLayerNorm(p, `${TOWER}.post_layernorm`, hidden, vision.layer_norm_eps) as tf.Tensor3D;
  });
}

/** The first feature, normed a second time, as upstream gives it: `[images, hidden]`. The language model has no use for it. */
export function visionPooled(p: Parameters, config: JanusConfig, features: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => {
    const first = tf.reshape(tf.slice(features, [0, 0, 0], [-1, 1, -1]), [features.shape[0], -1]);
    return namedLayerNorm(p, `${TOWER}.post_layernorm`, first, config.vision.layer_norm_eps) as tf.Tensor2D;
  });
}

/** Features -> what the language model reads, `[images, tokens, text hidden]`. */
export function alignFeatures(p: Parameters, config: JanusConfig, features: tf.Tensor3D): tf.Tensor3D {
  return mlp(p, ALIGNER, config.vision.depth, config.vision.hidden_act, features) as tf.Tensor3D;
}

/** Declares Janus' kind of aligner: `fc1`, then `layers - 1` further maps of the same width. */
export function declareMlp(
  specs: Record<string, ParameterSpec>,
  name: string,
  inputs: number,
  width: number,
  layers: number,
): void {
  declareLinear(specs, `${name}.fc1`, inputs, width);
  for (let i = 0; i < layers - 1; i++) declareLinear(specs, `${name}.hidden_layers.${i}`, width, width);
}

/** The aligner of {@link declareMlp}: an activation before every map but the first. @param x `[..., inputs]` */
export function mlp(p: Parameters, name: string, layers: number, act: string, x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    let h = p.linear(`${name}.fc1`, x);
    for (let i = 0; i < layers - 1; i++) h = p.linear(`${name}.hidden_layers.${i}`, activation(act)(h));
    return h;
  });
}
