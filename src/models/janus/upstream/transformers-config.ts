/** `config.json` and `generation_config.json` as transformers writes them, to our configuration and back. */
import { llamaConfigFromUpstream, llamaConfigToUpstream } from '../../../nn/llama-config';
import {
  checkJanusConfig,
  type JanusConfig,
  JanusConfigError,
  type JanusTokens,
  type JanusVisionConfig,
  type JanusVqConfig,
  visionTokens,
} from '../config';

export type Json = Readonly<Record<string, unknown>>;

/** Where the special tokens of a checkpoint may stand, besides its `config.json`. */
export interface TokenSources {
  /** `generation_config.json`, when there is one. */
  readonly generation?: Json;
  /** Ids by token name, e.g. of `tokenizer.json`: `<begin_of_image>`, `<end_of_image>`. */
  readonly named?: Readonly<Record<string, number | undefined>>;
  /** Given by the caller: goes before everything that is read. */
  readonly given?: Partial<JanusTokens>;
}

/**
 * Reads a checkpoint's configuration. Rotary settings are taken in transformers 5's style and the older one.
 * `begin_of_image` is looked for in the generation configuration (where transformers keeps it) and among the
 * tokenizer's names; a checkpoint that has it nowhere needs it `given`.
 * @param where said in errors: the file
 * @throws JanusConfigError or LlamaConfigError naming the field, what was found and what was expected
 */
export function janusConfigFromTransformers(json: Json, where: string, sources: TokenSources = {}): JanusConfig {
  if (json.model_type !== 'janus')
    throw new JanusConfigError(
      `${where}: model_type is ${JSON.stringify(json.model_type)}, expected "janus" (transformers) or "multi_modality" (deepseek's own)`,
    );
  const textJson = part(json, where, 'text_config');
  // The language model is tied when either level says so.
  const tied = json.tie_word_embeddings === true || textJson.tie_word_embeddings === true;
  const text = llamaConfigFromUpstream({ ...textJson, tie_word_embeddings: tied }, `${where}: text_config`);
  const config: JanusConfig = {
    text,
    vision: visionConfig(part(json, where, 'vision_config'), `${where}: vision_config`),
    vq: vqConfig(part(json, where, 'vq_config'), `${where}: vq_config`),
    tokens: tokensOf(json, textJson, where, sources),
  };
  checkJanusConfig(config);
  const declared = part(json, where, 'vision_config').num_image_tokens;
  if (typeof declared === 'number' && declared !== visionTokens(config))
    throw new JanusConfigError(
      `${where}: vision_config.num_image_tokens is ${declared}; images of ${config.vision.image_size} in patches of ${config.vision.patch_size} give ${visionTokens(config)}`,
    );
  return config;
}

/** The two files, for saving. @param dtype of the stored weights, e.g. `float32` */
export function janusConfigToTransformers(config: JanusConfig, dtype: string): { config: Json; generation: Json } {
  const { text, vision, vq, tokens } = config;
  const ids = { bos_token_id: tokens.bos, eos_token_id: tokens.eos, pad_token_id: tokens.pad };
  return {
    config: {
      architectures: ['JanusForConditionalGeneration'],
      dtype,
      image_token_id: tokens.image,
      model_type: 'janus',
      text_config: { ...llamaConfigToUpstream(text), model_type: 'llama', ...ids },
      tie_word_embeddings: text.tie_word_embeddings,
      vision_config: {
        ...vision,
        model_type: 'janus_vision_model',
        num_image_tokens: visionTokens(config),
        use_qk_norm: false,
      },
      vq_config: { ...vq, double_latent: false, model_type: 'janus_vqgan' },
    },
    generation: { ...ids, generation_kwargs: { boi_token_id: tokens.boi, eoi_token_id: tokens.eoi } },
  };
}

/** Reads single fields of one part, with transformers' defaults. */
export class Fields {
  constructor(
    private readonly json: Json,
    private readonly where: string,
  ) {}

  private get<T>(field: string, fallback: T | undefined, fits: (value: unknown) => boolean, expected: string): T {
    const value = this.json[field] ?? fallback;
    if (!fits(value))
      throw new JanusConfigError(`${this.where}: ${field} is ${JSON.stringify(value)}, expected ${expected}`);
    return value as T;
  }

  number(field: string, fallback?: number): number {
    return this.get(field, fallback, (value) => typeof value === 'number' && Number.isFinite(value), 'a number');
  }

  numbers(field: string, fallback: readonly number[]): readonly number[] {
    return this.get(field, fallback, isNumbers, 'a list of numbers');
  }

  numberOrNumbers(field: string, fallback: number): number | readonly number[] {
    return this.get<number | readonly number[]>(
      field,
      fallback,
      (v) => typeof v === 'number' || isNumbers(v),
      'a number or a list of them',
    );
  }

  text(field: string, fallback: string): string {
    return this.get(field, fallback, (value) => typeof value === 'string', 'a name');
  }

  flag(field: string, fallback: boolean): boolean {
    return this.get(field, fallback, (value) => typeof value === 'boolean', 'true or false');
  }

  /** @throws JanusConfigError when a switch that is not built is on */
  off(field: string): void {
    if (this.flag(field, false)) throw new JanusConfigError(`${this.where}: ${field} is true, which cannot be built`);
  }
}

function isNumbers(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'number');
}

function visionConfig(json: Json, where: string): JanusVisionConfig {
  const read = new Fields(json, where);
  read.off('use_qk_norm');
  return {
    hidden_size: read.number('hidden_size', 1024),
    image_size: read.number('image_size', 384),
    patch_size: read.number('patch_size', 16),
    num_channels: read.number('num_channels', 3),
    num_hidden_layers: read.number('num_hidden_layers', 24),
    num_attention_heads: read.number('num_attention_heads', 16),
    mlp_ratio: read.number('mlp_ratio', 4),
    layer_norm_eps: read.number('layer_norm_eps', 1e-6),
    hidden_act: read.text('hidden_act', 'gelu'),
    attention_bias: read.flag('attention_bias', true),
    depth: read.number('depth', 2),
    projection_dim: read.number('projection_dim', 2048),
  };
}

function vqConfig(json: Json, where: string): JanusVqConfig {
  const read = new Fields(json, where);
  read.off('double_latent');
  return {
    embed_dim: read.number('embed_dim', 8),
    num_embeddings: read.number('num_embeddings', 16384),
    latent_channels: read.number('latent_channels', 256),
    num_patches: read.number('num_patches', 32),
    in_channels: read.number('in_channels', 3),
    out_channels: read.number('out_channels', 3),
    base_channels: read.number('base_channels', 128),
    channel_multiplier: read.numbers('channel_multiplier', [1, 1, 2, 2, 4]),
    num_res_blocks: read.numberOrNumbers('num_res_blocks', 2),
    num_hidden_layers: read.number('num_hidden_layers', 2),
    hidden_act: read.text('hidden_act', 'gelu'),
    projection_dim: read.number('projection_dim', 2048),
    image_token_embed_dim: read.number('image_token_embed_dim', 2048),
    beta: read.number('beta', 0.25),
    norm_groups: read.number('norm_groups', 32),
    ...(read.flag('cell_encoder', false) ? { cell_encoder: true } : {}),
  };
}

/** Ids of the special tokens. @throws JanusConfigError naming the one that stands nowhere */
export function tokensOf(
  json: Json,
  text: Json,
  where: string,
  { generation = {}, named = {}, given = {} }: TokenSources,
) {
  const kwargs = (generation.generation_kwargs ?? {}) as Json;
  const ids: Record<keyof JanusTokens, readonly unknown[]> = {
    bos: [text.bos_token_id, json.bos_token_id, generation.bos_token_id, named['<｜begin▁of▁sentence｜>']],
    eos: [text.eos_token_id, json.eos_token_id, generation.eos_token_id, named['<｜end▁of▁sentence｜>']],
    pad: [text.pad_token_id, json.pad_token_id, generation.pad_token_id, named['<｜▁pad▁｜>']],
    image: [json.image_token_id, json.image_token_index, named['<image_placeholder>']],
    boi: [kwargs.boi_token_id, generation.boi_token_id, json.boi_token_id, named['<begin_of_image>']],
    eoi: [kwargs.eoi_token_id, generation.eoi_token_id, json.eoi_token_id, named['<end_of_image>']],
  };
  const entries = Object.entries(ids).map(([name, places]) => {
    const id = [given[name as keyof JanusTokens], ...places].find((value) => typeof value === 'number');
    if (id === undefined)
      throw new JanusConfigError(
        `${where}: the id of the ${name} token stands neither there, nor in generation_config.json or tokenizer.json; give it: { tokens: { ${name}: ... } }`,
      );
    return [name, id];
  });
  return Object.fromEntries(entries) as JanusTokens;
}

/** An object among the fields. @throws JanusConfigError naming it */
export function part(json: Json, where: string, name: string): Json {
  const value = json[name];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new JanusConfigError(`${where}: ${name} is ${JSON.stringify(value)}, expected an object`);
  return value as Json;
}
