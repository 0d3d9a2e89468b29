/** Show-o's configuration: the language model (Phi-1.5's block), the vocabulary's regions and the sequence lengths. */

export interface ShowoConfig {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly layer_norm_eps: number;
  readonly rope_theta: number;
  /** Share of each head's dimensions that rotary positions turn. */
  readonly partial_rotary_factor: number;
  /** Text ids are 0..llm_vocab_size-1; then pad and nine special tokens, the image codes, the mask token. */
  readonly llm_vocab_size: number;
  readonly codebook_size: number;
  /** Image codes of one image. */
  readonly num_vq_tokens: number;
  /** Begin and end of text; Show-o uses one id for both. */
  readonly bos_token_id: number;
  readonly eos_token_id: number;
  /** Positions before the image in the text-to-image layout, task token, begin and end included. */
  readonly max_text_len: number;
  /** Image codes per row, for images that are not square. Default: the square root of num_vq_tokens. */
  readonly image_columns?: number;
}

/** The ten tokens between text and image codes, in order. */
export const SPECIAL_TOKENS = ['pad', 'soi', 'eoi', 'sov', 'eov', 't2i', 'mmu', 't2v', 'v2v', 'lvg'] as const;
export type SpecialToken = (typeof SPECIAL_TOKENS)[number];

/** Where everything lies in the vocabulary. */
export interface ShowoVocabulary extends Readonly<Record<SpecialToken, number>> {
  readonly sot: number;
  readonly eot: number;
  /** First image code. */
  readonly imageOffset: number;
  /** The id of an image position that is still to be predicted. */
  readonly mask: number;
  /** Number of ids. */
  readonly size: number;
}

/** The vocabulary's regions, all derived from the configuration. */
export function showoVocabulary(config: ShowoConfig): ShowoVocabulary {
  const specials = Object.fromEntries(SPECIAL_TOKENS.map((name, i) => [name, config.llm_vocab_size + i])) as Record<
    SpecialToken,
    number
  >;
  const imageOffset = config.llm_vocab_size + SPECIAL_TOKENS.length;
  const mask = imageOffset + config.codebook_size;
  return { ...specials, sot: config.bos_token_id, eot: config.eos_token_id, imageOffset, mask, size: mask + 1 };
}

/** Rows and columns of an image's codes. */
export function imageGrid({ num_vq_tokens: codes, image_columns }: ShowoConfig): [rows: number, columns: number] {
  const columns = image_columns ?? Math.round(Math.sqrt(codes));
  return [codes / columns, columns];
}

/** The published 1.3 B checkpoint at 512 x 512: 1024 codes (256 at 256 x 256). */
export const SHOWO_1B: ShowoConfig = {
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 24,
  num_attention_heads: 32,
  layer_norm_eps: 1e-5,
  rope_theta: 10000,
  partial_rotary_factor: 0.5,
  llm_vocab_size: 50295,
  codebook_size: 8192,
  num_vq_tokens: 1024,
  bos_token_id: 50256,
  eos_token_id: 50256,
  max_text_len: 129,
};

/** A configuration that cannot be built, said before anything is allocated. */
export class ShowoConfigError extends Error {
  override readonly name = 'ShowoConfigError';
}

/** @throws ShowoConfigError naming the field, what was found and what was expected */
export function checkShowoConfig(config: ShowoConfig): void {
  const positive = [
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'llm_vocab_size',
    'codebook_size',
    'num_vq_tokens',
    'max_text_len',
  ] as const;
  for (const field of positive) {
    if (!Number.isInteger(config[field]) || config[field] < 1)
      throw new ShowoConfigError(`config: ${field} is ${config[field]}, expected a positive integer`);
  }
  if (config.hidden_size % config.num_attention_heads) {
    throw new ShowoConfigError(
      `config: hidden_size ${config.hidden_size} is not divisible by num_attention_heads ${config.num_attention_heads}`,
    );
  }
  for (const field of ['bos_token_id', 'eos_token_id'] as const) {
    if (!(config[field] >= 0 && config[field] < config.llm_vocab_size)) {
      throw new ShowoConfigError(
        `config: ${field} is ${config[field]}, expected a text id below llm_vocab_size ${config.llm_vocab_size}`,
      );
    }
  }
}

/** Reads Show-o's own config.json beside its language model's (`phi/config.json`); takes old and new rotary fields. */
export function showoConfigFromUpstream(
  showo: Readonly<Record<string, unknown>>,
  phi: Readonly<Record<string, unknown>>,
  text: { bos_token_id: number; eos_token_id: number; max_text_len: number },
): ShowoConfig {
  const rope = (phi.rope_parameters ?? {}) as Record<string, unknown>;
  const number = (
    source: Readonly<Record<string, unknown>>,
    file: string,
    field: string,
    fallback?: unknown,
  ): number => {
    const value = source[field] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw new ShowoConfigError(`${file}: ${field} is ${JSON.stringify(source[field])}, expected a number`);
    return value;
  };
  const config: ShowoConfig = {
    hidden_size: number(phi, 'phi/config.json', 'hidden_size'),
    intermediate_size: number(phi, 'phi/config.json', 'intermediate_size'),
    num_hidden_layers: number(phi, 'phi/config.json', 'num_hidden_layers'),
    num_attention_heads: number(phi, 'phi/config.json', 'num_attention_heads'),
    layer_norm_eps: number(phi, 'phi/config.json', 'layer_norm_eps', 1e-5),
    rope_theta: number(phi, 'phi/config.json', 'rope_theta', rope.rope_theta ?? 10000),
    partial_rotary_factor: number(phi, 'phi/config.json', 'partial_rotary_factor', rope.partial_rotary_factor ?? 0.5),
    llm_vocab_size: number(showo, 'config.json', 'llm_vocab_size'),
    codebook_size: number(showo, 'config.json', 'codebook_size'),
    num_vq_tokens: number(showo, 'config.json', 'num_vq_tokens'),
    ...text,
  };
  const declared = number(showo, 'config.json', 'vocab_size');
  const size = showoVocabulary(config).size;
  if (declared !== size)
    throw new ShowoConfigError(
      `config.json: vocab_size is ${declared}; text ${config.llm_vocab_size} + 10 special + codes ${config.codebook_size} + mask make ${size}`,
    );
  checkShowoConfig(config);
  return config;
}
