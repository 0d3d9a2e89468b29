/** The vision transformer of BLIP (Li et al. 2022) and of BLIP-2 (there EVA-CLIP's ViT-g): one fused qkv, a class token. */
import { tf } from '../../../engine';
import { EncoderBlock, type EncoderConfig, type EncoderParts, runBlocks } from '../../../nn/encoder';
import { LayerNorm } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';
import { PatchEmbedding } from '../../../nn/patches';
import { type BlockConfig, readBlockConfig } from '../bert/block';
import type { ConfigFields } from '../bert/fields';
import { firstToken } from '../bert/network';

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

class BlipVisionBlock extends EncoderBlock {
  readonly layer_norm1 = this.newNorm();
  readonly self_attn = { qkv: this.newProjection(3), projection: this.newOutput() };
  readonly layer_norm2 = this.newNorm();
  readonly mlp = this.newMlp();

  protected parts(): EncoderParts {
    const { layer_norm1: norm1, layer_norm2: norm2, self_attn } = this;
    const { fc1: up, fc2: down } = this.mlp;
    return { norm1, project: self_attn, output: self_attn.projection, norm2, up, down };
  }
}

export class BlipVisionTower extends Module<BlipVisionConfig> {
  private readonly side = Math.floor(this.config.image_size / this.config.patch_size);
  readonly embeddings = {
    class_embedding: new Parameter<tf.Tensor3D>([1, 1, this.config.hidden_size], { normal: 0.02 }),
    patch_embedding: new PatchEmbedding(3, this.config.hidden_size, [this.config.patch_size, this.config.patch_size]),
    position_embedding: new Parameter<tf.Tensor3D>([1, 1 + this.side ** 2, this.config.hidden_size], { normal: 0.02 }),
  };
  readonly encoder = {
    layers: Array.from(
      { length: this.config.num_hidden_layers },
      () => new BlipVisionBlock(encoderConfig(this.config)),
    ),
  };
  readonly post_layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);

  /**
   * Images as vectors; the caller disposes them.
   * @param pixels `[batch, image_size, image_size, 3]`, scaled and normed as upstream's processor does
   * @throws RangeError for another shape
   */
  forward(pixels: tf.Tensor4D): BlipVisionOutput {
    const { image_size: side } = this.config;
    if (pixels.rank !== 4 || pixels.shape.slice(1).join() !== `${side},${side},3`)
      throw new RangeError(`images must be [batch, ${side}, ${side}, 3], got [${pixels.shape}]`);
    const { class_embedding, patch_embedding, position_embedding } = this.embeddings;
    return tf.tidy(() => {
      const first = tf.tile(class_embedding.value, [pixels.shape[0], 1, 1]);
      const tokens = tf.concat([first, patch_embedding.tokens(pixels)], 1);
      const placed = tf.add<tf.Tensor3D>(tokens, position_embedding.value);
      const lastHiddenState = this.post_layernorm.forward(runBlocks(this.encoder.layers, placed));
      return { lastHiddenState, poolerOutput: this.post_layernorm.forward(firstToken(lastHiddenState)) };
    });
  }
}

function encoderConfig(config: BlipVisionConfig): EncoderConfig {
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
