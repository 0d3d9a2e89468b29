/** The vision transformer of BLIP (Li et al. 2022) and of BLIP-2 (there EVA-CLIP's ViT-g): one fused qkv, a class token. */
import { tf } from '../../../engine';
import { declareEncoder, declareLayerNorm, encode, type EncoderNames, namedLayerNorm } from '../../../nn/encoder';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';
import { embedPatches } from '../../../nn/patches';
import { type BlockConfig, readBlockConfig } from '../bert/block';
import type { ConfigFields } from '../bert/fields';

export interface BlipVisionConfig extends BlockConfig {
  /** Side of the images in pixels. */
  readonly image_size: number;
  /** Side of a patch in pixels. */
  readonly patch_size: number;
  readonly qkv_bias: boolean;
}

/** What the vision tower gives. */
export interface BlipVisionOutput {
  /** The class token and the patches row by row, normed: `[batch, 1 + patches, hidden]`. */
  readonly lastHiddenState: tf.Tensor3D;
  /** The class token, normed a second time, as upstream does: `[batch, hidden]`. */
  readonly poolerOutput: tf.Tensor2D;
}

const names: EncoderNames = {
  norm1: 'layer_norm1',
  project: { qkv: 'self_attn.qkv' },
  output: 'self_attn.projection',
  norm2: 'layer_norm2',
  up: 'mlp.fc1',
  down: 'mlp.fc2',
};

/** The name before all of the tower's parameters. */
const TOWER = 'vision_model';

/** The `vision_config` of a configuration. @param defaults upstream's */
export function readBlipVisionConfig(fields: ConfigFields, defaults: BlipVisionConfig): BlipVisionConfig {
  const config: BlipVisionConfig = {
    ...readBlockConfig(fields, defaults),
    image_size: fields.size('image_size', defaults.image_size),
    patch_size: fields.size('patch_size', defaults.patch_size),
    qkv_bias: fields.flag('qkv_bias', defaults.qkv_bias),
  };
  if (config.patch_size > config.image_size)
    fields.fault(`patch_size ${config.patch_size} is larger than image_size ${config.image_size}`);
  return config;
}

/** Declares every parameter of the tower under its upstream name. */
export function declareBlipVision(specs: Record<string, ParameterSpec>, config: BlipVisionConfig): void {
  const { hidden_size: hidden, image_size, patch_size: patch } = config;
  const tokens = 1 + Math.floor(image_size / patch) ** 2;
  specs[`${TOWER}.embeddings.class_embedding`] = { shape: [1, 1, hidden], init: { normal: 0.02 } };
  specs[`${TOWER}.embeddings.position_embedding`] = { shape: [1, tokens, hidden], init: { normal: 0.02 } };
  specs[`${TOWER}.embeddings.patch_embedding.weight`] = {
    shape: [hidden, 3, patch, patch],
    init: { normal: 0.02 },
    layout: 'conv',
  };
  specs[`${TOWER}.embeddings.patch_embedding.bias`] = { shape: [hidden], init: { constant: 0 } };
  declareEncoder(specs, `${TOWER}.encoder.layers`, encoderConfig(config), names);
  declareLayerNorm(specs, `${TOWER}.post_layernorm`, hidden);
}

/**
 * Images as vectors; the caller disposes them.
 * @param pixels `[batch, image_size, image_size, 3]`, scaled and normed as upstream's processor does
 * @throws RangeError for another shape
 */
export function blipVision(p: Parameters, config: BlipVisionConfig, pixels: tf.Tensor4D): BlipVisionOutput {
  const { image_size: side, hidden_size: hidden, layer_norm_eps: eps } = config;
  if (pixels.rank !== 4 || pixels.shape.slice(1).join() !== `${side},${side},3`)
    throw new RangeError(`images must be [batch, ${side}, ${side}, 3], got [${pixels.shape}]`);
  return tf.tidy(() => {
    const patches = embedPatches(
      pixels,
      p.get(`${TOWER}.embeddings.patch_embedding.weight`) as tf.Tensor4D,
      p.get(`${TOWER}.embeddings.patch_embedding.bias`),
    );
    const first = tf.tile(p.get(`${TOWER}.embeddings.class_embedding`), [pixels.shape[0], 1, 1]) as tf.Tensor3D;
    const placed = tf.add<tf.Tensor3D>(tf.concat([first, patches], 1), p.get(`${TOWER}.embeddings.position_embedding`));
    const h = encode(p, `${TOWER}.encoder.layers`, encoderConfig(config), names, placed);
    const lastHiddenState = namedLayerNorm(p, `${TOWER}.post_layernorm`, h, eps) as tf.Tensor3D;
    const token = tf.reshape<tf.Rank.R2>(tf.slice(lastHiddenState, [0, 0, 0], [-1, 1, -1]), [-1, hidden]);
    return { lastHiddenState, poolerOutput: namedLayerNorm(p, `${TOWER}.post_layernorm`, token, eps) as tf.Tensor2D };
  });
}

function encoderConfig(config: BlipVisionConfig) {
  return {
    hidden: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    intermediate: config.intermediate_size,
    eps: config.layer_norm_eps,
    activation: config.hidden_act,
    qkvBias: config.qkv_bias,
  };
}
