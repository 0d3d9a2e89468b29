/** The models whose published sizes `unilab bench --model` measures, by name. */
import { type JanusConfig, JANUS_PRO_1B } from '../../src/models/janus/config';
import { SHOWO_1B, type ShowoConfig } from '../../src/models/showo/config';
import { type MagvitConfig, MAGVITV2_CONFIG } from '../../src/models/showo/image-tokenizer';
import { janusLarge } from './janus';
import { showoLarge } from './showo';
import type { LargeModel } from './work';

/** Janus-Pro-1B's shape at a hundredth of its size: to see that everything works. */
const JANUS_SMALL: JanusConfig = {
  ...JANUS_PRO_1B,
  text: {
    ...JANUS_PRO_1B.text,
    vocab_size: 12800,
    hidden_size: 256,
    intermediate_size: 704,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    num_key_value_heads: 8,
    head_dim: 32,
  },
  tokens: { bos: 0, eos: 1, pad: 2, image: 3, boi: 4, eoi: 5 },
  vision: { ...JANUS_PRO_1B.vision, projection_dim: 256 },
  vq: { ...JANUS_PRO_1B.vq, projection_dim: 256, image_token_embed_dim: 256 },
};

/** Show-o's shape at less than a hundredth of its size. */
const SHOWO_SMALL: ShowoConfig = {
  ...SHOWO_1B,
  hidden_size: 128,
  intermediate_size: 512,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  llm_vocab_size: 5000,
  bos_token_id: 1,
  eos_token_id: 1,
  max_text_len: 17,
};
const SMALL_CODER = { ch: 32, ch_mult: [1, 1, 1, 1, 2], num_res_blocks: [0, 0, 1, 1, 1], z_channels: 13 };
const MAGVIT_SMALL: MagvitConfig = { encoder: SMALL_CODER, decoder: SMALL_CODER, codebook_dim: 13 };

const MODELS: Readonly<Record<string, () => LargeModel>> = {
  'janus-pro-1b': () => janusLarge(JANUS_PRO_1B, [64, 256, 1024]),
  'janus-small': () => janusLarge(JANUS_SMALL, [64, 256, 1024]),
  'showo-1.3b': () => showoLarge(SHOWO_1B, MAGVITV2_CONFIG, [256, 1024]),
  'showo-small': () => showoLarge(SHOWO_SMALL, MAGVIT_SMALL, [16, 64]),
};

/** The names of all models. */
export const LARGE_MODELS: readonly string[] = Object.keys(MODELS);

/** @throws RangeError for a name that is not among {@link LARGE_MODELS} */
export function largeModel(name: string): LargeModel {
  if (Object.hasOwn(MODELS, name)) return MODELS[name]();
  throw new RangeError(`there is no model '${name}'; there are ${LARGE_MODELS.join(', ')}`);
}
