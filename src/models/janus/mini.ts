/**
 * Janus mini: the real class at a size that two CPU cores train. It looks at 64 x 64 images as 8 x 8 patches, and
 * draws them with an 8 x 8 grid of 4096 codes.
 */
import { l2Normalize } from '../../nn/vqgan-codebook';
import { type Rng, tf } from '../../engine';
import type { JanusConfig } from './config';
import type { JanusModel } from './model';

/** Height and width of the images, pixels. */
const SIDE = 64;
/** Width of a code's entry: the codebook starts as the corners of a cube of so many dimensions, see `vqFromMagvit`. */
const BITS = 12;

/** The tokens that the text vocabulary lacks; their ids follow it. */
const ADDED = ['image', 'boi', 'eoi'] as const;

/** @param textIds size of the text vocabulary, of which bos, eos and pad are tokens */
export function janusMini(textIds: number, text: { bos: number; eos: number; pad: number }): JanusConfig {
  const [image, boi, eoi] = ADDED.map((_, i) => textIds + i);
  const width = 256;
  return {
    text: {
      vocab_size: textIds + ADDED.length,
      hidden_size: width,
      intermediate_size: 704,
      num_hidden_layers: 5,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      head_dim: width / 8,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      rope_factor: 1,
      max_position_embeddings: 512,
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: false,
    },
    vision: {
      hidden_size: 128,
      image_size: SIDE,
      patch_size: 8,
      num_channels: 3,
      num_hidden_layers: 3,
      num_attention_heads: 4,
      mlp_ratio: 4,
      layer_norm_eps: 1e-6,
      hidden_act: 'gelu_pytorch_tanh', // the exact form costs several times as much and learns the same
      attention_bias: true,
      depth: 2,
      projection_dim: width,
    },
    vq: {
      embed_dim: BITS,
      num_embeddings: 2 ** BITS,
      latent_channels: BITS,
      num_patches: 8,
      in_channels: 3,
      out_channels: 3,
      base_channels: 32,
      // No residual blocks of the encoder at full resolution, where they cost most and pictograms need them least.
      channel_multiplier: [1, 1, 2, 4],
      num_res_blocks: [0, 1, 1, 1],
      num_hidden_layers: 2,
      hidden_act: 'gelu_pytorch_tanh',
      projection_dim: width,
      image_token_embed_dim: width,
      beta: 0.25,
      norm_groups: 4, // one channel a group would erase the color of flat images
      cell_encoder: true, // else one part of one figure has many codes, and the language model learns to tell them apart
    },
    tokens: { ...text, image, boi, eoi },
  };
}

/**
 * Where training of the language model starts: codes whose entries lie close together start with similar rows, on the
 * way in and on the way out. A plain random table treats 4,096 codes as 4,096 strangers.
 * @param share of the output rows' variance that the entries carry, in [0, 1]. Default 0.8
 */
export function startCodesFromCodebook(model: JanusModel, rng: Rng, share = 0.8, std = 0.02): void {
  const p = model.parameters;
  const { embed_dim: dim, num_embeddings: codes, projection_dim: width } = model.config.vq;
  tf.tidy(() => {
    const entries = codeEntries(model);
    p.variables['model.generation_embeddings.weight'].assign(entries);
    const directions = tf.tensor2d(rng.split('directions').normal(dim * width), [dim, width]);
    const noise = tf.tensor2d(rng.split('noise').normal(codes * width), [codes, width]);
    const rows = tf.add(
      tf.mul(tf.matMul(entries, directions), std * Math.sqrt(share / dim)),
      tf.mul(noise, std * Math.sqrt(1 - share)),
    );
    p.variables['model.generation_head.vision_head.weight'].assign(rows);
  });
}

/** The codebook's entries with unit variance in every dimension, `[codes, embed_dim]`: what like codes have in common. */
export function codeEntries(model: JanusModel): tf.Tensor2D {
  return tf.tidy(() => {
    const entries = l2Normalize(model.parameters.get('model.vqmodel.quantize.embedding.weight') as tf.Tensor2D);
    return tf.mul<tf.Tensor2D>(entries, Math.sqrt(model.config.vq.embed_dim));
  });
}
