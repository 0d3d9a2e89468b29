/**
 * Janus' configuration (Wu et al. 2024, Chen et al. 2025: Janus-Pro): language model, vision tower for understanding,
 * VQ tokenizer for generation, and the ids of the special tokens. Field names inside each part are upstream's.
 */
import { ACTIVATIONS } from '../../nn/activations';
import { checkLlamaConfig, type LlamaConfig } from '../../nn/llama-config';
import { checkVqganConfig, type VqganConfig } from '../../nn/vqgan';

/** The vision tower, a SigLIP-like transformer, and the aligner that takes its features to the language model. */
export interface JanusVisionConfig {
  readonly hidden_size: number;
  /** Height and width of the images, pixels. */
  readonly image_size: number;
  readonly patch_size: number;
  readonly num_channels: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** Width of the MLP over the tower's. */
  readonly mlp_ratio: number;
  readonly layer_norm_eps: number;
  readonly hidden_act: string;
  /** Biases of queries, keys and values. */
  readonly attention_bias: boolean;
  /** Linear layers of the aligner. */
  readonly depth: number;
  /** Width of the aligner's output: the language model's. */
  readonly projection_dim: number;
}

/** The VQ tokenizer, and how its codes enter and leave the language model. */
export interface JanusVqConfig {
  /** Width of a code's entry in the codebook and in the generation embeddings. */
  readonly embed_dim: number;
  /** Number of codes. */
  readonly num_embeddings: number;
  /** Channels between the convolutional halves and the codebook's 1x1 convolutions. */
  readonly latent_channels: number;
  /** Codes along each side of an image. */
  readonly num_patches: number;
  readonly in_channels: number;
  readonly out_channels: number;
  readonly base_channels: number;
  /** Channel multiplier of each level, finest first. */
  readonly channel_multiplier: readonly number[];
  /** Residual blocks of the encoder's levels (the decoder's have one more): one number for all, or one a level. */
  readonly num_res_blocks: number | readonly number[];
  /** Linear layers of the generation aligner. */
  readonly num_hidden_layers: number;
  /** Activation of the generation aligner and head. */
  readonly hidden_act: string;
  /** Width inside and after the generation aligner, and inside the generation head. */
  readonly projection_dim: number;
  /** Width of the generation head's input: the language model's. */
  readonly image_token_embed_dim: number;
  /** Weight of the loss that moves the codebook. */
  readonly beta: number;
  /** Groups of GroupNorm: 32 in published models, fewer in small ones. */
  readonly norm_groups: number;
  /**
   * Every cell of the code grid is encoded from its own pixels alone, so that what a cell shows has one code wherever
   * it stands and whatever stands beside it; the decoder still sees all cells. Default false, as published.
   */
  readonly cell_encoder?: boolean;
}

/** Ids of special tokens. `boi` and `eoi` begin and end an image; `image` stands where an image's features go. */
export interface JanusTokens {
  readonly bos: number;
  readonly eos: number;
  readonly pad: number;
  readonly image: number;
  readonly boi: number;
  readonly eoi: number;
}

export interface JanusConfig {
  readonly text: LlamaConfig;
  readonly vision: JanusVisionConfig;
  readonly vq: JanusVqConfig;
  readonly tokens: JanusTokens;
}

/** A configuration that cannot be built, said before anything is allocated. */
export class JanusConfigError extends Error {
  override readonly name = 'JanusConfigError';
}

/** Features that one image puts into the sequence. */
export function visionTokens(config: JanusConfig): number {
  return Math.floor(config.vision.image_size / config.vision.patch_size) ** 2;
}

/** Codes of one generated image. */
export function imageCodes(config: JanusConfig): number {
  return config.vq.num_patches ** 2;
}

/** The VQ tokenizer in the terms of the shared VQGAN: attention at the coarsest level, upwards levels counted from it. */
export function vqganConfig(vq: JanusVqConfig): VqganConfig {
  return {
    ch: vq.base_channels,
    ch_mult: vq.channel_multiplier,
    num_res_blocks: vq.num_res_blocks,
    z_channels: vq.latent_channels,
    embed_dim: vq.embed_dim,
    n_embed: vq.num_embeddings,
    in_channels: vq.in_channels,
    out_ch: vq.out_channels,
    attn_levels: [vq.channel_multiplier.length - 1],
    first_up: 'coarsest',
    l2_norm: true,
    norm_groups: vq.norm_groups,
    cell_encoder: vq.cell_encoder,
  };
}

/** @throws JanusConfigError (or LlamaConfigError for the language model) naming the field, what was found and expected */
export function checkJanusConfig({ text, vision, vq, tokens }: JanusConfig): void {
  checkLlamaConfig(text, 'config: text_config');
  positive('vision_config', vision, [
    'hidden_size',
    'image_size',
    'patch_size',
    'num_channels',
    'num_hidden_layers',
    'num_attention_heads',
    'depth',
    'projection_dim',
  ]);
  positive('vq_config', vq, [
    'embed_dim',
    'num_embeddings',
    'latent_channels',
    'num_patches',
    'in_channels',
    'out_channels',
    'base_channels',
    'num_hidden_layers',
    'projection_dim',
    'norm_groups',
  ]);
  const fail = (what: string): never => {
    throw new JanusConfigError(`config: ${what}`);
  };
  if (vision.patch_size > vision.image_size)
    fail(`vision_config.patch_size ${vision.patch_size} is larger than image_size ${vision.image_size}`);
  if (vision.hidden_size % vision.num_attention_heads)
    fail(
      `vision_config.hidden_size ${vision.hidden_size} is not divisible by num_attention_heads ${vision.num_attention_heads}`,
    );
  for (const [part, { hidden_act: name }] of Object.entries({ vision_config: vision, vq_config: vq }))
    if (!ACTIVATIONS.includes(name))
      fail(`${part}.hidden_act '${name}' is not known; there are ${ACTIVATIONS.join(', ')}`);
  for (const [field, width] of [
    ['vision_config.projection_dim', vision.projection_dim],
    ['vq_config.projection_dim', vq.projection_dim],
    ['vq_config.image_token_embed_dim', vq.image_token_embed_dim],
  ] as const)
    if (width !== text.hidden_size)
      fail(`${field} is ${width}, expected text_config.hidden_size ${text.hidden_size}: what the language model takes`);
  for (const [name, id] of Object.entries(tokens))
    if (!(Number.isInteger(id) && id >= 0 && id < text.vocab_size))
      fail(`the ${name} token is ${id}, expected an id below vocab_size ${text.vocab_size}`);
  try {
    checkVqganConfig(vqganConfig(vq));
  } catch (error) {
    fail(`vq_config: ${(error as Error).message}`);
  }
}

function positive<T>(part: string, values: T, fields: readonly (keyof T & string)[]): void {
  for (const field of fields) {
    const value = values[field] as unknown;
    if (!(Number.isInteger(value) && (value as number) >= 1))
      throw new JanusConfigError(`config: ${part}.${field} is ${JSON.stringify(value)}, expected a positive integer`);
  }
}

/** The published Janus-Pro-1B: 384 x 384 images, 576 features and 576 codes each. */
export const JANUS_PRO_1B: JanusConfig = {
  text: {
    vocab_size: 102400,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    head_dim: 128,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    rope_factor: 1,
    max_position_embeddings: 16384,
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: false,
  },
  vision: {
    hidden_size: 1024,
    image_size: 384,
    patch_size: 16,
    num_channels: 3,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    mlp_ratio: 4,
    layer_norm_eps: 1e-6,
    hidden_act: 'gelu',
    attention_bias: true,
    depth: 2,
    projection_dim: 2048,
  },
  vq: {
    embed_dim: 8,
    num_embeddings: 16384,
    latent_channels: 256,
    num_patches: 24,
    in_channels: 3,
    out_channels: 3,
    base_channels: 128,
    channel_multiplier: [1, 1, 2, 2, 4],
    num_res_blocks: 2,
    num_hidden_layers: 2,
    hidden_act: 'gelu',
    projection_dim: 2048,
    image_token_embed_dim: 2048,
    beta: 0.25,
    norm_groups: 32,
  },
  tokens: { bos: 100000, eos: 100001, pad: 100002, image: 100581, boi: 100016, eoi: 100593 },
};
