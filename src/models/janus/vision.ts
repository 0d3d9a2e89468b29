/** Janus' eyes: a SigLIP-like transformer over patches, and the aligner that takes its features to the language model. */
import { tf } from '../../engine';
import { activation } from '../../nn/activations';
import { EncoderBlock, type EncoderConfig, type EncoderParts, runBlocks } from '../../nn/encoder';
import { Embedding, LayerNorm, Linear } from '../../nn/layers';
import { Module } from '../../nn/module';
import { PatchEmbedding } from '../../nn/patches';
import type { JanusVisionConfig } from './config';

class VisionBlock extends EncoderBlock {
  readonly layer_norm1 = this.newNorm();
  readonly self_attn = {
    q_proj: this.newProjection(),
    k_proj: this.newProjection(),
    v_proj: this.newProjection(),
    projection_layer: this.newOutput(),
  };
  readonly layer_norm2 = this.newNorm();
  readonly mlp = this.newMlp();

  protected parts(): EncoderParts {
    const { q_proj: query, k_proj: key, v_proj: value, projection_layer: output } = this.self_attn;
    const { layer_norm1: norm1, layer_norm2: norm2, mlp } = this;
    return { norm1, project: { query, key, value }, output, norm2, up: mlp.fc1, down: mlp.fc2 };
  }
}

/** The tower. */
export class VisionTower extends Module<JanusVisionConfig> {
  readonly embeddings = {
    patch_embedding: patchEmbedding(this.config),
    position_embedding: new Embedding(
      Math.floor(this.config.image_size / this.config.patch_size) ** 2,
      this.config.hidden_size,
    ),
  };
  readonly encoder = { layers: blocksOf(this.config) };
  readonly post_layernorm = new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps);

  /**
   * Features after the last norm.
   * @param pixels `[images, image_size, image_size, channels]` in [-1, 1]
   * @returns `[images, tokens, hidden]`
   * @throws RangeError for pixels of another shape
   */
  forward(pixels: tf.Tensor4D): tf.Tensor3D {
    const { image_size: side, num_channels: channels } = this.config;
    const expected = [side, side, channels];
    if (pixels.shape.length !== 4 || pixels.shape.slice(1).join() !== expected.join())
      throw new RangeError(`the vision tower needs pixels [images, ${expected.join(', ')}], got [${pixels.shape}]`);
    return tf.tidy(() => {
      const { patch_embedding, position_embedding } = this.embeddings;
      const placed = tf.add<tf.Tensor3D>(patch_embedding.tokens(pixels), position_embedding.weight.value);
      return this.post_layernorm.forward(runBlocks(this.encoder.layers, placed));
    });
  }

  /**
   * The first feature, normed a second time, as upstream gives it: `[images, hidden]`. The language model has no use for
   * it.
   */
  pooled(features: tf.Tensor3D): tf.Tensor2D {
    return tf.tidy(() => {
      const first = tf.slice(features, [0, 0, 0], [-1, 1, -1]);
      return this.post_layernorm.forward(tf.reshape<tf.Rank.R2>(first, [features.shape[0], -1]));
    });
  }
}

function patchEmbedding({ num_channels: channels, hidden_size, patch_size: patch }: JanusVisionConfig): PatchEmbedding {
  return new PatchEmbedding(channels, hidden_size, [patch, patch], { std: 1 / Math.sqrt(channels * patch * patch) });
}

function blocksOf(vision: JanusVisionConfig): VisionBlock[] {
  const config: EncoderConfig = {
    hidden: vision.hidden_size,
    layers: vision.num_hidden_layers,
    heads: vision.num_attention_heads,
    intermediate: Math.floor(vision.hidden_size * vision.mlp_ratio),
    eps: vision.layer_norm_eps,
    activation: vision.hidden_act,
    qkvBias: vision.attention_bias,
  };
  return Array.from({ length: vision.num_hidden_layers }, () => new VisionBlock(config));
}

export interface AlignerConfig {
  readonly inputs: number;
  readonly width: number;
  /** Linear maps. */
  readonly layers: number;
  readonly activation: string;
}

/** Janus' kind of aligner: linear maps with an activation before every one but the first. */
export class Aligner extends Module<AlignerConfig> {
  readonly fc1 = new Linear(this.config.inputs, this.config.width);
  readonly hidden_layers = Array.from(
    { length: this.config.layers - 1 },
    () => new Linear(this.config.width, this.config.width),
  );

  /** @param x `[..., inputs]` @returns `[..., width]` */
  forward<X extends tf.Tensor>(x: X): X {
    const act = activation(this.config.activation);
    return tf.tidy(() => {
      let h = this.fc1.forward(x);
      for (const layer of this.hidden_layers) h = layer.forward(act(h) as X);
      return h;
    });
  }
}
