/** Configuration of the LLaMA decoder that Janus and Chameleon are built on, read as `config.json` writes it. */

export interface LlamaConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** Heads of keys and values; each serves `num_attention_heads / num_key_value_heads` query heads. */
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** Positions are divided by this (linear scaling); 1: not scaled. */
  readonly rope_factor: number;
  readonly max_position_embeddings: number;
  /** Biases in the four attention projections. */
  readonly attention_bias: boolean;
  /** Biases in the three MLP projections. */
  readonly mlp_bias: boolean;
  /** The output head is the embedding table. */
  readonly tie_word_embeddings: boolean;
  /** Chameleon: LayerNorm over each head's queries and keys, with a scale and shift for every head. Default false. */
  readonly qk_norm?: boolean;
  /** Chameleon: the norms stand after attention and MLP, x + norm(f(x)), not before them. Default false. */
  readonly swin_norm?: boolean;
}

/** A configuration that cannot be built, said before anything is allocated. */
export class LlamaConfigError extends Error {
  override readonly name = 'LlamaConfigError';
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads the fields of a `config.json` (or of its `text_config`). Rotary settings are taken from `rope_parameters`
 * (transformers 5) or from `rope_theta` and `rope_scaling` (before). Absent fields have transformers' LLaMA defaults.
 * @param where said in errors, e.g. `config.json: text_config`
 * @param defaults overrides of those defaults, where a model has its own
 * @throws LlamaConfigError naming the field, what was found and what was expected
 */
export function llamaConfigFromUpstream(json: Json, where: string, defaults: Partial<LlamaConfig> = {}): LlamaConfig {
  const number = (field: keyof LlamaConfig, fallback?: number): number =>
    numberOf(json[field] ?? undefined, where, field, (defaults[field] as number | undefined) ?? fallback);
  const flag = (field: keyof LlamaConfig): boolean => {
    const value = json[field] ?? defaults[field] ?? false;
    if (typeof value !== 'boolean')
      throw new LlamaConfigError(`${where}: ${field} is ${JSON.stringify(value)}, expected true or false`);
    return value;
  };
  const activation = json.hidden_act ?? 'silu';
  if (activation !== 'silu')
    throw new LlamaConfigError(`${where}: hidden_act is ${JSON.stringify(activation)}, expected "silu"`);
  const hidden = number('hidden_size', 4096);
  const heads = number('num_attention_heads', 32);
  const config: LlamaConfig = {
    vocab_size: number('vocab_size', 32000),
    hidden_size: hidden,
    intermediate_size: number('intermediate_size', 11008),
    num_hidden_layers: number('num_hidden_layers', 32),
    num_attention_heads: heads,
    num_key_value_heads: number('num_key_value_heads', heads),
    head_dim: number('head_dim', hidden / heads),
    rms_norm_eps: number('rms_norm_eps', 1e-6),
    ...rope(json, where, defaults.rope_theta ?? 10000),
    max_position_embeddings: number('max_position_embeddings', 2048),
    attention_bias: flag('attention_bias'),
    mlp_bias: flag('mlp_bias'),
    tie_word_embeddings: flag('tie_word_embeddings'),
    ...(defaults.qk_norm === undefined ? {} : { qk_norm: defaults.qk_norm }),
    ...(json.swin_norm === undefined && defaults.swin_norm === undefined ? {} : { swin_norm: flag('swin_norm') }),
  };
  checkLlamaConfig(config, where);
  return config;
}

/** The fields as transformers 5 writes them. */
export function llamaConfigToUpstream(config: LlamaConfig): Record<string, unknown> {
  const { rope_theta, rope_factor, qk_norm: _, ...fields } = config;
  const scaled = rope_factor === 1 ? { rope_type: 'default' } : { rope_type: 'linear', factor: rope_factor };
  return { ...fields, hidden_act: 'silu', rope_parameters: { rope_theta, ...scaled } };
}

/** @throws LlamaConfigError naming the field, what was found and what was expected */
export function checkLlamaConfig(config: LlamaConfig, where: string): void {
  const positive = [
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'max_position_embeddings',
  ] as const;
  for (const field of positive) {
    if (!Number.isInteger(config[field]) || config[field] < 1)
      throw new LlamaConfigError(`${where}: ${field} is ${config[field]}, expected a positive integer`);
  }
  const { num_attention_heads: heads, num_key_value_heads: groups, head_dim: dim } = config;
  if (heads % groups)
    throw new LlamaConfigError(
      `${where}: num_attention_heads ${heads} is not divisible by num_key_value_heads ${groups}`,
    );
  if (dim % 2) throw new LlamaConfigError(`${where}: head_dim is ${dim}, expected an even number for rotary positions`);
  for (const field of ['rms_norm_eps', 'rope_theta', 'rope_factor'] as const) {
    if (!(config[field] > 0)) throw new LlamaConfigError(`${where}: ${field} is ${config[field]}, expected above 0`);
  }
}

function rope(json: Json, where: string, theta: number): Pick<LlamaConfig, 'rope_theta' | 'rope_factor'> {
  const settings = (json.rope_parameters ?? json.rope_scaling ?? {}) as Json;
  const type = settings.rope_type ?? settings.type ?? 'default';
  if (type !== 'default' && type !== 'linear')
    throw new LlamaConfigError(`${where}: rope_type is ${JSON.stringify(type)}; "default" and "linear" can be read`);
  const linear = type === 'linear' ? settings.factor : 1;
  return {
    rope_theta: numberOf(settings.rope_theta ?? json.rope_theta ?? undefined, where, 'rope_theta', theta),
    rope_factor: numberOf(linear, where, 'rope factor'),
  };
}

function numberOf(value: unknown, where: string, field: string, fallback?: number): number {
  const found = value ?? fallback;
  if (typeof found !== 'number' || !Number.isFinite(found))
    throw new LlamaConfigError(`${where}: ${field} is ${JSON.stringify(value)}, expected a number`);
  return found;
}
