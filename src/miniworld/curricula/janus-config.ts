/**
 * Janus mini: the real class at a size that two CPU cores train. It looks at 64 x 64 images as 8 x 8 patches, and
 * draws them with an 8 x 8 grid of 4096 codes.
 */
import type { JanusConfig } from '../../models/janus/config';

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
