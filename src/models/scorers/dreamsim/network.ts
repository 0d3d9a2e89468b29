/** DreamSim's network: one or more vision transformers side by side, under the published state dict's names. */
import { tf } from '../../../engine';
import { EncoderBlock, type EncoderConfig, type EncoderParts, runBlocks } from '../../../nn/encoder';
import { LayerNorm, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';
import { PatchEmbedding } from '../../../nn/patches';
import { classToken, type ImageGrid, imageTokens } from '../vision/tokens';

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const CLIP = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] } as const;
const DINO_KIND = { ...IMAGENET, feature: 'cls', eps: 1e-6, activation: 'gelu' } as const;
const CLIP_KIND = { ...CLIP, feature: 'embedding', eps: 1e-5, activation: 'quick_gelu' } as const;
const OPEN_CLIP_KIND = { ...CLIP_KIND, activation: 'gelu' } as const;

/** The backbones by published name: colors, feature, and what the weights do not tell. */
export const DREAMSIM_BACKBONES = {
  dino_vitb16: { ...DINO_KIND, patch: 16 },
  clip_vitb16: { ...CLIP_KIND, patch: 16 },
  clip_vitb32: { ...CLIP_KIND, patch: 32 },
  open_clip_vitb16: { ...OPEN_CLIP_KIND, patch: 16 },
  open_clip_vitb32: { ...OPEN_CLIP_KIND, patch: 32 },
} as const;

export type DreamSimBackboneName = keyof typeof DREAMSIM_BACKBONES;

export interface DreamSimBackbone extends EncoderConfig, ImageGrid {
  readonly name: DreamSimBackboneName;
  /** Width of a CLIP kind's feature; DINO's has the width of a token. */
  readonly output?: number;
}

export interface DreamSimConfig {
  /** Their features stand side by side in this order. */
  readonly backbones: readonly DreamSimBackbone[];
  /** The feature is all tokens of the last block, not the class token. */
  readonly patches: boolean;
  /** Width between the two maps of a head on the feature; absent: no head. */
  readonly head?: number;
}

class Block extends EncoderBlock {
  readonly norm1 = this.newNorm();
  readonly attn = { qkv: this.newProjection(3), proj: this.newOutput() };
  readonly norm2 = this.newNorm();
  readonly mlp = this.newMlp();

  protected parts(): EncoderParts {
    const { qkv, proj: output } = this.attn;
    const { fc1: up, fc2: down } = this.mlp;
    return { norm1: this.norm1, project: { qkv }, output, norm2: this.norm2, up, down };
  }
}

class Vit extends Module<DreamSimBackbone> {
  private readonly tokens = 1 + this.config.grid[0] * this.config.grid[1];
  readonly cls_token = new Parameter<tf.Tensor3D>([1, 1, this.config.hidden], { normal: 0.02 });
  readonly pos_embed = new Parameter<tf.Tensor3D>([1, this.tokens, this.config.hidden], { normal: 0.02 });
  readonly patch_embed = { proj: new PatchEmbedding(this.config.channels, this.config.hidden, this.config.patch) };
  /** CLIP's norm of what enters the first block; upstream keeps it where others have dropout. */
  readonly pos_drop = isClip(this.config) ? new LayerNorm(this.config.hidden, this.config.eps) : undefined;
  readonly blocks = Array.from({ length: this.config.layers }, () => new Block(this.config));
  readonly norm = new LayerNorm(this.config.hidden, this.config.eps);

  /** The last block's output, before the last norm. @param pixels in [0, 1] */
  forward(pixels: tf.Tensor4D): tf.Tensor3D {
    const { mean, std } = DREAMSIM_BACKBONES[this.config.name];
    const parts = {
      patches: this.patch_embed.proj,
      classToken: this.cls_token.value,
      positions: this.pos_embed.value,
    };
    return tf.tidy(() => {
      const seen = tf.div<tf.Tensor4D>(tf.sub(pixels, tf.tensor1d([...mean])), tf.tensor1d([...std]));
      const tokens = imageTokens(seen, parts, this.config, false);
      return runBlocks(this.blocks, this.pos_drop?.forward(tokens) ?? tokens);
    });
  }
}

/** A transformer, and beside it a CLIP kind's map to the space that images and texts share. */
class Extractor extends Module<DreamSimBackbone> {
  readonly model = new Vit(this.config);
  readonly proj =
    this.config.output === undefined
      ? undefined
      : new Parameter<tf.Tensor2D>([this.config.hidden, this.config.output], { normal: 0.02 });

  forward(pixels: tf.Tensor4D, patches: boolean): tf.Tensor2D | tf.Tensor3D {
    return tf.tidy(() => {
      const states = this.model.forward(pixels);
      if (patches) return states;
      const own = classToken(states);
      return this.proj ? tf.matMul(this.model.norm.forward(own), this.proj.value) : own;
    });
  }
}

export class DreamSimNetwork extends Module<DreamSimConfig> {
  readonly extractor_list = this.config.backbones.map((backbone) => new Extractor(backbone));
  readonly mlp = this.config.head === undefined ? undefined : this.newHead(this.config.head);

  /**
   * @param pixels `[batch, side, side, 3]` in [0, 1]; each backbone has its own normalization of colors
   * @returns `[batch, size]`, or with `patches` `[batch, 1 + patches, width]`
   * @throws RangeError for pixels of another shape
   */
  forward(pixels: tf.Tensor4D): tf.Tensor2D | tf.Tensor3D {
    return tf.tidy(() => {
      const parts = this.extractor_list.map((extractor) => extractor.forward(pixels, this.config.patches));
      const feature = parts.length === 1 ? parts[0] : tf.concat(parts as tf.Tensor2D[], -1);
      if (!this.mlp) return feature;
      const { fc1, fc2 } = this.mlp;
      return tf.add(feature, fc2.forward(tf.relu(fc1.forward(feature))));
    });
  }

  private newHead(width: number): { readonly fc1: Linear; readonly fc2: Linear } {
    const size = this.config.backbones.reduce((sum, { hidden, output = hidden }) => sum + output, 0);
    return { fc1: new Linear(size, width), fc2: new Linear(width, size) };
  }
}

/** Whether a backbone is one of CLIP's towers, OpenAI's or open_clip's. */
export function isClip({ name }: { readonly name: DreamSimBackboneName }): boolean {
  return DREAMSIM_BACKBONES[name].feature === 'embedding';
}
