/** The network of DINO's ViT and of DINOv2 under transformers' names. */
import { type tf } from '../../../engine';
import { activation } from '../../../nn/activations';
import { EncoderBlock, type EncoderConfig, type EncoderParts, runBlocks } from '../../../nn/encoder';
import { LayerNorm, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';
import { PatchEmbedding } from '../../../nn/patches';
import { classToken, type ImageGrid, imageTokens } from './tokens';

export interface VisionConfig extends EncoderConfig, ImageGrid {
  /** What is made of the class token: a layer's output, the token itself, or nothing. */
  readonly pooler?: { readonly size: number; readonly activation: string } | 'class token';
  /** Which of the two it is. DINOv2 stretches its positions to images of any size without being asked. */
  readonly model: 'vit' | 'dinov2';
  /** Shape of the learned stand-in for a hidden patch; training needs it, features do not. */
  readonly maskToken?: readonly number[];
}

export class VitBlock extends EncoderBlock {
  readonly layernorm_before = this.newNorm();
  readonly attention = {
    attention: { query: this.newProjection(), key: this.newProjection(), value: this.newProjection() },
    output: { dense: this.newOutput() },
  };
  readonly layernorm_after = this.newNorm();
  readonly intermediate = { dense: new Linear(this.config.hidden, this.config.intermediate) };
  readonly output = { dense: new Linear(this.config.intermediate, this.config.hidden) };

  protected parts(): EncoderParts {
    const { attention: project, output } = this.attention;
    const { layernorm_before: norm1, layernorm_after: norm2, intermediate, output: last } = this;
    return { norm1, project, output: output.dense, norm2, up: intermediate.dense, down: last.dense };
  }
}

/** SwiGLU's maps: the gate and what it scales side by side, then back. */
class GatedMlp extends Module<Pick<EncoderConfig, 'hidden' | 'intermediate'>> {
  readonly weights_in = new Linear(this.config.hidden, 2 * this.config.intermediate);
  readonly weights_out = new Linear(this.config.intermediate, this.config.hidden);
}

/** With layer scale (Touvron et al. 2021), the factors of attention and MLP. */
export class Dinov2Block extends EncoderBlock {
  readonly norm1 = this.newNorm();
  readonly attention = {
    attention: { query: this.newProjection(), key: this.newProjection(), value: this.newProjection() },
    output: { dense: this.newOutput() },
  };
  readonly layer_scale1 = { lambda1: new Parameter<tf.Tensor1D>([this.config.hidden], { constant: 1 }) };
  readonly norm2 = this.newNorm();
  readonly mlp = this.config.gated ? new GatedMlp(this.config) : this.newMlp();
  readonly layer_scale2 = { lambda1: new Parameter<tf.Tensor1D>([this.config.hidden], { constant: 1 }) };

  protected parts(): EncoderParts {
    const { norm1, norm2, mlp } = this;
    const { attention: project, output } = this.attention;
    const scales = [this.layer_scale1.lambda1, this.layer_scale2.lambda1] as const;
    const maps =
      mlp instanceof GatedMlp ? { up: mlp.weights_in, down: mlp.weights_out } : { up: mlp.fc1, down: mlp.fc2 };
    return { norm1, project, output: output.dense, norm2, scales, ...maps };
  }
}

export class VisionNetwork extends Module<VisionConfig> {
  private readonly tokens = 1 + this.config.grid[0] * this.config.grid[1];
  readonly embeddings = {
    cls_token: new Parameter<tf.Tensor3D>([1, 1, this.config.hidden], { normal: 0.02 }),
    register_tokens: this.config.registers
      ? new Parameter<tf.Tensor3D>([1, this.config.registers, this.config.hidden], { normal: 0.02 })
      : undefined,
    mask_token: this.config.maskToken && new Parameter(this.config.maskToken, { constant: 0 }),
    position_embeddings: new Parameter<tf.Tensor3D>([1, this.tokens, this.config.hidden], { normal: 0.02 }),
    patch_embeddings: {
      projection: new PatchEmbedding(this.config.channels, this.config.hidden, this.config.patch),
    },
  };
  readonly encoder = { layer: Array.from({ length: this.config.layers }, () => this.newBlock()) };
  readonly layernorm = new LayerNorm(this.config.hidden, this.config.eps);
  readonly pooler =
    typeof this.config.pooler === 'object'
      ? { dense: new Linear(this.config.hidden, this.config.pooler.size) }
      : undefined;

  /**
   * @param stretch whether positions are interpolated for images of another size
   * @param keep is given what enters the first block, then every block's output
   * @throws RangeError for pixels of another shape, or of another size when positions may not be stretched
   */
  forward(
    pixels: tf.Tensor4D,
    stretch: boolean,
    keep?: (state: tf.Tensor3D) => void,
  ): { lastHiddenState: tf.Tensor3D; poolerOutput: tf.Tensor2D | undefined } {
    const { cls_token, register_tokens, position_embeddings, patch_embeddings } = this.embeddings;
    const parts = {
      patches: patch_embeddings.projection,
      classToken: cls_token.value,
      positions: position_embeddings.value,
      registers: register_tokens?.value,
    };
    const entering = imageTokens(pixels, parts, this.config, stretch);
    keep?.(entering);
    const lastHiddenState = this.layernorm.forward(runBlocks(this.encoder.layer, entering, null, keep));
    return { lastHiddenState, poolerOutput: this.pool(lastHiddenState) };
  }

  private newBlock(): EncoderBlock {
    return this.config.model === 'vit' ? new VitBlock(this.config) : new Dinov2Block(this.config);
  }

  private pool(states: tf.Tensor3D): tf.Tensor2D | undefined {
    const { pooler } = this.config;
    if (pooler === undefined) return undefined;
    const token = classToken(states);
    if (pooler === 'class token' || !this.pooler) return token;
    return activation(pooler.activation)(this.pooler.dense.forward(token)) as tf.Tensor2D;
  }
}
