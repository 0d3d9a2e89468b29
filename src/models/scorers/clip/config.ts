/** CLIP's configuration, read as transformers has written it over the years. */
import type { EncoderConfig } from '../../../nn/encoder';
import { ConfigFields } from '../bert/fields';
import { checkModelType, readImageGrid } from '../vision/config';
import type { ImageGrid } from '../vision/tokens';

export interface ClipTextConfig extends EncoderConfig {
  readonly vocabulary: number;
  /** Most tokens of a text, begin and end included. */
  readonly positions: number;
  /**
   * The token that ends a text; the state at its first place is the text's. 2 stands for configurations written before
   * this number was kept right: there, the place of the largest token number counts.
   */
  readonly end: number;
}

export interface ClipVisionConfig extends EncoderConfig, ImageGrid {}

export interface ClipConfig {
  readonly text: ClipTextConfig;
  readonly vision: ClipVisionConfig;
  /** Length of the vectors in the space that texts and images share. */
  readonly projection: number;
  /** The learned logarithm of the temperature, before training. */
  readonly logitScale: number;
}

type Json = Readonly<Record<string, unknown>>;

const TEXT_DEFAULTS = {
  vocab_size: 49408,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
  eos_token_id: 49407,
} as const;

const VISION_DEFAULTS = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  num_channels: 3,
  image_size: 224,
  patch_size: 32,
  hidden_act: 'quick_gelu',
  layer_norm_eps: 1e-5,
} as const;

/**
 * Reads a CLIP's `config.json`. Absent fields have transformers' defaults; `text_config_dict` and `vision_config_dict`,
 * which older files carry, stand over `text_config` and `vision_config` with their own defaults, as upstream has it.
 * @throws ScorerConfigError listing every field at fault
 */
export function clipConfigFromUpstream(json: Json, where: string): ClipConfig {
  const merged = {
    ...json,
    text_config: part(json, 'text_config', TEXT_DEFAULTS),
    vision_config: part(json, 'vision_config', VISION_DEFAULTS),
  };
  const fields = ConfigFields.of(merged, where);
  checkModelType(fields, 'clip');
  const text = fields.inner('text_config');
  const vision = fields.inner('vision_config');
  const config: ClipConfig = {
    text: {
      ...encoderConfig(text, TEXT_DEFAULTS),
      vocabulary: text.size('vocab_size', TEXT_DEFAULTS.vocab_size),
      positions: text.size('max_position_embeddings', TEXT_DEFAULTS.max_position_embeddings),
      end: text.id('eos_token_id', TEXT_DEFAULTS.eos_token_id),
    },
    vision: {
      ...encoderConfig(vision, VISION_DEFAULTS),
      ...readImageGrid(vision, asObject(merged.vision_config), VISION_DEFAULTS),
    },
    projection: fields.size('projection_dim', 512),
    logitScale: fields.number('logit_scale_init_value', 2.6592),
  };
  fields.check();
  return config;
}

function encoderConfig(fields: ConfigFields, defaults: typeof TEXT_DEFAULTS | typeof VISION_DEFAULTS): EncoderConfig {
  const hidden = fields.size('hidden_size', defaults.hidden_size);
  const heads = fields.size('num_attention_heads', defaults.num_attention_heads);
  if (hidden % heads) fields.fault(`hidden_size ${hidden} is not divisible by num_attention_heads ${heads}`);
  return {
    hidden,
    heads,
    layers: fields.size('num_hidden_layers', defaults.num_hidden_layers),
    intermediate: fields.size('intermediate_size', defaults.intermediate_size),
    activation: fields.activation('hidden_act', defaults.hidden_act),
    eps: fields.number('layer_norm_eps', defaults.layer_norm_eps),
  };
}

/** A tower's part of the file; what is no object is left for the reader to complain about. */
function part(json: Json, name: string, defaults: Json): unknown {
  const over = json[`${name}_dict`];
  if (typeof over !== 'object' || over === null) return json[name] ?? {};
  return { ...asObject(json[name]), ...defaults, ...over };
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}
