/** Show-o mini: the real class at a size that two CPU cores train. 64 x 64 images, an 8 x 8 grid of 4096 codes. */
import type { ShowoConfig } from '../../models/showo/config';
import type { MagvitConfig } from '../../models/showo/image-tokenizer';

/** Bits of a code. */
export const MINI_BITS = 12;
/** Bits that the tokenizer starts its training with; see `widenTokenizer`. */
export const MINI_FIRST_BITS = 10;

/** 8x smaller each way; no residual blocks at full resolution, where they cost most and pictograms need them least. */
export function magvitMini(bits: number): MagvitConfig {
  const coder = { ch: 32, ch_mult: [1, 1, 2, 4], num_res_blocks: [0, 1, 1, 1], z_channels: bits, norm_groups: 4 };
  return { encoder: coder, decoder: coder, codebook_dim: bits };
}

/** What the tokenizer that ships starts from: its encoder sees the whole image. */
export const MAGVIT_MINI_WIDE: MagvitConfig = magvitMini(MINI_BITS);

/**
 * The tokenizer that ships. Its encoder sees one cell at a time: with whole images the same part of the same figure
 * had many codes, and the transformer spent its training on telling them apart.
 */
export const MAGVIT_MINI: MagvitConfig = { ...MAGVIT_MINI_WIDE, cell_encoder: true };

/** Five Phi blocks of width 256; `textIds` is the size of the text vocabulary. */
export function showoMini(textIds: number, bos: number, eos: number): ShowoConfig {
  return {
    hidden_size: 256,
    intermediate_size: 1024,
    num_hidden_layers: 5,
    num_attention_heads: 8,
    layer_norm_eps: 1e-5,
    rope_theta: 10000,
    partial_rotary_factor: 0.5,
    llm_vocab_size: textIds,
    codebook_size: 2 ** MINI_BITS,
    num_vq_tokens: 64,
    bos_token_id: bos,
    eos_token_id: eos,
    max_text_len: 32,
  };
}
