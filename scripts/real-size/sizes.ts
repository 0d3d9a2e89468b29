/** The published configurations, Chameleon-7B's at a tenth of its width, and each at about a hundredth of its size. */
import type { ChameleonConfig } from '../../src/models/chameleon/config';
import { nameOfCode, TOKEN_NAMES } from '../../src/models/chameleon/vocabulary';
import { type JanusConfig, JANUS_PRO_1B } from '../../src/models/janus/config';
import { SHOWO_1B, type ShowoConfig } from '../../src/models/showo/config';
import { type MagvitConfig, MAGVITV2_CONFIG } from '../../src/models/showo/image-tokenizer';

/** The id of the mini world's first word in a vocabulary: behind what the layouts name. */
export const FIRST_WORD = { janus: 16, chameleon: 9000 } as const;

const SMALL_CODER = { ch: 16, ch_mult: [1, 1, 1, 1, 2], num_res_blocks: [0, 0, 1, 1, 1], z_channels: 13 };
const SMALL_MAGVIT = { ...SMALL_CODER, norm_groups: 4 };

interface ShowoSizes {
  readonly transformer: ShowoConfig;
  readonly tokenizer: MagvitConfig;
}

export const showoSizes: Readonly<Record<'published' | 'small', ShowoSizes>> = {
  published: { transformer: SHOWO_1B, tokenizer: MAGVITV2_CONFIG },
  small: {
    transformer: {
      ...SHOWO_1B,
      hidden_size: 128,
      intermediate_size: 512,
      num_hidden_layers: 3,
      num_attention_heads: 4,
      llm_vocab_size: 5000,
      num_vq_tokens: 16,
      bos_token_id: 4000,
      eos_token_id: 4000,
    },
    tokenizer: { encoder: SMALL_MAGVIT, decoder: SMALL_MAGVIT, codebook_dim: 13 },
  },
};

export const janusSizes: Readonly<Record<'published' | 'small', JanusConfig>> = {
  published: JANUS_PRO_1B,
  small: {
    ...JANUS_PRO_1B,
    text: {
      ...JANUS_PRO_1B.text,
      vocab_size: 5000,
      hidden_size: 128,
      intermediate_size: 352,
      num_hidden_layers: 3,
      num_attention_heads: 4,
      num_key_value_heads: 4,
      head_dim: 32,
    },
    tokens: { bos: 4000, eos: 4001, pad: 4002, image: 4003, boi: 4004, eoi: 4005 },
    vision: {
      ...JANUS_PRO_1B.vision,
      hidden_size: 64,
      image_size: 64,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      projection_dim: 128,
    },
    vq: {
      ...JANUS_PRO_1B.vq,
      num_patches: 4,
      base_channels: 16,
      latent_channels: 32,
      num_res_blocks: 1,
      norm_groups: 4,
      projection_dim: 128,
      image_token_embed_dim: 128,
    },
  },
};

/** Ids of what the published vocabulary names: codes from 4 on, then the tokens around images. */
const FIRST_CODE = 4;
const CODES = 8192;

/**
 * The published vocabulary, layers, heads and VQGAN; widths of 4096 and 11008 are a tenth, rounded so that 32 heads have
 * even widths. Small: fewer and narrower layers, images of 64 x 64.
 */
export function chameleonSizes(size: 'published' | 'small'): ChameleonConfig {
  const isSmall = size === 'small';
  const [width, heads] = isSmall ? [128, 4] : [384, 32];
  const map: Record<string, number> = { '<s>': 0, '<pad>': 1, '</s>': 2 };
  for (let code = 0; code < CODES; code++) map[nameOfCode(code)] = FIRST_CODE + code;
  const after = FIRST_CODE + CODES;
  Object.assign(map, { [TOKEN_NAMES.eoi]: after, [TOKEN_NAMES.boi]: after + 1 });
  Object.assign(map, { [TOKEN_NAMES.separator]: 8710, '<image>': 8711 });
  return {
    text: {
      vocab_size: isSmall ? 10_000 : 65_536,
      hidden_size: width,
      intermediate_size: isSmall ? 352 : 1104,
      num_hidden_layers: isSmall ? 3 : 32,
      num_attention_heads: heads,
      num_key_value_heads: heads,
      head_dim: width / heads,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      rope_factor: 1,
      max_position_embeddings: 4096,
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: false,
      qk_norm: true,
      swin_norm: false,
    },
    model_parallel_size: 1,
    bos_token_id: 0,
    eos_token_id: 2,
    pad_token_id: 1,
    image_token_id: 8711,
    vocabulary_map: map,
    vq: {
      ch: isSmall ? 16 : 128,
      ch_mult: [1, 1, 2, 2, 4],
      num_res_blocks: isSmall ? 1 : 2,
      z_channels: isSmall ? 32 : 256,
      embed_dim: isSmall ? 32 : 256,
      n_embed: CODES,
      attn_levels: [],
      ...(isSmall && { norm_groups: 4 }),
    },
    resolution: isSmall ? 64 : 512,
    layout: 'chameleon',
    prompt_format: 'conversation',
  };
}
