/**
 * Chameleon's configuration (Chameleon Team 2024; Lumina-mGPT has the same): the decoder, the image tokenizer, and the
 * vocabulary that text and image codes share. Read from and written as transformers' `config.json`.
 */
import { type LlamaConfig, llamaConfigFromUpstream, llamaConfigToUpstream } from '../../nn/llama-config';
import { attentionLevels, coderStride } from '../../nn/image-coder';
import { checkVqganConfig, type VqganConfig } from '../../nn/vqgan';

/**
 * How an image stands in a sequence. `chameleon`: begin, codes, end. `lumina`: begin, height, width, rows of codes each
 * ended by a newline token, end.
 */
export type ImageLayout = 'chameleon' | 'lumina';

/**
 * How a request ends. `conversation`: with the separator token, as Chameleon and Lumina-mGPT learned it, and so does the
 * answer. `plain`: the model goes on with the request itself, and says the end token when it is done.
 */
export type PromptFormat = 'conversation' | 'plain';

export interface ChameleonConfig {
  /** The decoder; always with norms on queries and keys. */
  readonly text: LlamaConfig;
  /**
   * Into how many parts the published weights were once split. Their query and key norms repeat over the heads of a
   * part; they are stored for every head, so that nothing is computed differently.
   */
  readonly model_parallel_size: number;
  readonly bos_token_id: number;
  readonly eos_token_id: number;
  readonly pad_token_id: number;
  /** The placeholder that stands for one code of an image in a prompt. */
  readonly image_token_id: number;
  /** Names of all special tokens and image codes (`IMGIMG` + digits as letters + `Z`) with their ids. */
  readonly vocabulary_map: Readonly<Record<string, number>>;
  readonly vq: VqganConfig;
  /** Height and width that images have when nothing else is said, pixels. */
  readonly resolution: number;
  readonly layout: ImageLayout;
  readonly prompt_format: PromptFormat;
}

/** A configuration that cannot be built, said before anything is allocated. */
export class ChameleonConfigError extends Error {
  override readonly name = 'ChameleonConfigError';
}

export type Json = Readonly<Record<string, unknown>>;

/** Rows and columns of codes of an image of the configuration's resolution. */
export function defaultGrid(config: ChameleonConfig): readonly [rows: number, columns: number] {
  const side = Math.floor(config.resolution / coderStride(config.vq));
  return [side, side];
}

/**
 * Reads a `config.json`; absent fields have transformers' defaults.
 * @param where said in errors
 * @param layout default: what the file says, else `chameleon`
 * @throws ChameleonConfigError or LlamaConfigError naming the field, what was found and what was expected
 */
export function chameleonConfigFromUpstream(json: Json, where: string, layout?: ImageLayout): ChameleonConfig {
  if (json.model_type !== undefined && json.model_type !== 'chameleon' && json.model_type !== 'chameleon_xllmx')
    throw new ChameleonConfigError(`${where}: model_type is ${JSON.stringify(json.model_type)}, expected "chameleon"`);
  // transformers' Chameleon has no field for the width of a head.
  const text = llamaConfigFromUpstream(json, where, {
    vocab_size: 65536,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 4096,
    qk_norm: true,
    swin_norm: false,
  });
  const map = json.vocabulary_map;
  if (typeof map !== 'object' || map === null || Object.values(map).some((id) => !Number.isInteger(id)))
    throw new ChameleonConfigError(`${where}: vocabulary_map must give every token's name its id, a whole number`);
  const vocabulary = map as Record<string, number>;
  const vq = (json.vq_config ?? {}) as Json;
  const id = (field: string, fallback?: number): number => {
    const value = json[field] ?? fallback;
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) >= text.vocab_size) {
      const expected = `an id below vocab_size ${text.vocab_size}`;
      throw new ChameleonConfigError(`${where}: ${field} is ${JSON.stringify(json[field])}, expected ${expected}`);
    }
    return value as number;
  };
  const config: ChameleonConfig = {
    text,
    model_parallel_size: wholeNumber(json, where, 'model_parallel_size', 1),
    bos_token_id: id('bos_token_id', vocabulary['<s>'] ?? 1),
    eos_token_id: id('eos_token_id', vocabulary['</s>'] ?? 2),
    pad_token_id: id('pad_token_id', vocabulary['<pad>'] ?? 1),
    image_token_id: id('image_token_id', vocabulary['<image>']),
    vocabulary_map: vocabulary,
    vq: vqganConfigFromUpstream(vq, `${where}: vq_config`),
    resolution: wholeNumber(vq, `${where}: vq_config`, 'resolution', 512),
    layout: layout ?? oneOf(json, where, 'picture_layout', ['chameleon', 'lumina']),
    prompt_format: oneOf(json, where, 'prompt_format', ['conversation', 'plain']),
  };
  if (text.num_attention_heads % config.model_parallel_size)
    throw new ChameleonConfigError(
      `${where}: num_attention_heads ${text.num_attention_heads} is not divisible by model_parallel_size ${config.model_parallel_size}`,
    );
  return config;
}

/** The configuration as transformers writes it; what transformers has no field for is added only where it is set. */
export function chameleonConfigToUpstream(config: ChameleonConfig): Record<string, unknown> {
  const { text, vq } = config;
  const { head_dim, ...decoder } = llamaConfigToUpstream(text);
  return {
    architectures: ['ChameleonForConditionalGeneration'],
    model_type: 'chameleon',
    ...decoder,
    ...(head_dim === text.hidden_size / text.num_attention_heads ? {} : { head_dim }),
    swin_norm: text.swin_norm ?? false,
    model_parallel_size: config.model_parallel_size,
    bos_token_id: config.bos_token_id,
    eos_token_id: config.eos_token_id,
    pad_token_id: config.pad_token_id,
    image_token_id: config.image_token_id,
    ...(config.layout === 'chameleon' ? {} : { picture_layout: config.layout }),
    ...(config.prompt_format === 'conversation' ? {} : { prompt_format: config.prompt_format }),
    vocabulary_map: config.vocabulary_map,
    vq_config: {
      model_type: 'chameleon_vqgan',
      attn_type: (vq.mid_attention ?? true) ? 'vanilla' : 'none',
      attn_resolutions: vq.attn_levels?.length ? vq.attn_levels.map((level) => config.resolution / 2 ** level) : null,
      base_channels: vq.ch,
      channel_multiplier: vq.ch_mult,
      double_latent: false,
      dropout: 0,
      embed_dim: vq.embed_dim,
      in_channels: vq.in_channels ?? 3,
      latent_channels: vq.z_channels,
      num_embeddings: vq.n_embed,
      num_res_blocks: vq.num_res_blocks,
      resolution: config.resolution,
      ...(vq.norm_groups === undefined ? {} : { norm_groups: vq.norm_groups }),
      ...(vq.decoder_res_blocks === undefined ? {} : { decoder_res_blocks: vq.decoder_res_blocks }),
      ...(vq.cell_encoder ? { cell_encoder: true } : {}),
    },
  };
}

/** Reads transformers' `vq_config`. */
function vqganConfigFromUpstream(json: Json, where: string): VqganConfig {
  if (json.double_latent === true)
    throw new ChameleonConfigError(`${where}: double_latent is true; only plain latents can be built`);
  const number = (field: string, fallback: number): number => wholeNumber(json, where, field, fallback);
  const ch_mult = (json.channel_multiplier ?? [1, 1, 2, 2, 4]) as number[];
  const attention = (json.attn_type ?? 'vanilla') === 'vanilla';
  return checkedVqgan(where, {
    ch: number('base_channels', 128),
    ch_mult,
    num_res_blocks: (json.num_res_blocks ?? 2) as number | number[],
    z_channels: number('latent_channels', 256),
    embed_dim: number('embed_dim', 256),
    n_embed: number('num_embeddings', 8192),
    in_channels: number('in_channels', 3),
    attn_levels: attention
      ? attentionLevels(number('resolution', 512), ch_mult.length, json.attn_resolutions as number[] | null)
      : [],
    mid_attention: attention,
    ...(json.norm_groups === undefined ? {} : { norm_groups: number('norm_groups', 32) }),
    ...(json.decoder_res_blocks === undefined ? {} : { decoder_res_blocks: json.decoder_res_blocks as number[] }),
    ...(json.cell_encoder === true ? { cell_encoder: true } : {}),
  });
}

/** The configuration, checked. @throws ChameleonConfigError saying where */
export function checkedVqgan(where: string, config: VqganConfig): VqganConfig {
  try {
    checkVqganConfig(config);
  } catch (error) {
    throw new ChameleonConfigError(`${where}: ${(error as Error).message}`, { cause: error });
  }
  return config;
}

/** @throws ChameleonConfigError naming the field */
export function wholeNumber(json: Json, where: string, field: string, fallback?: number): number {
  const value = json[field] ?? fallback;
  if (!Number.isInteger(value) || (value as number) < 1)
    throw new ChameleonConfigError(
      `${where}: ${field} is ${JSON.stringify(json[field])}, expected a positive whole number`,
    );
  return value as number;
}

/** One of some words; the first of them where the field is absent. */
function oneOf<W extends string>(json: Json, where: string, field: string, words: readonly [W, W]): W {
  const value = json[field] ?? words[0];
  const found = words.find((word) => word === value);
  if (found === undefined)
    throw new ChameleonConfigError(
      `${where}: ${field} is ${JSON.stringify(value)}, expected "${words.join('" or "')}"`,
    );
  return found;
}
