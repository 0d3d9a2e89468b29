/** The configuration of BLIP's captioner and matcher: a vision tower and a text model that looks at its tokens. */
import { type BlockConfig, readBlockConfig } from '../bert/block';
import type { ConfigFields } from '../bert/fields';
import { type BlipVisionConfig, readBlipVisionConfig } from './vision';

export interface BlipTextConfig extends BlockConfig {
  readonly vocab_size: number;
  /** Longest row. */
  readonly max_position_embeddings: number;
  /** Width of the vectors that cross attention looks at; that of the vision tower. */
  readonly encoder_hidden_size: number;
  /** First token of every caption. */
  readonly bos_token_id: number;
  /** Last token of a caption: generation ends on it, not on eos. */
  readonly sep_token_id: number;
  readonly pad_token_id: number;
  /** Share of the training loss's target that is spread over all tokens. */
  readonly label_smoothing: number;
}

export interface BlipConfig {
  readonly vision: BlipVisionConfig;
  readonly text: BlipTextConfig;
  /** Size of the common space of images and texts. */
  readonly image_text_hidden_size: number;
  /** Whether the words' table is the output projection, too. */
  readonly tie_word_embeddings: boolean;
}

/** Upstream's defaults (Salesforce/blip-*-base): what a file leaves out. */
const VISION: BlipVisionConfig = {
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-5,
  image_size: 384,
  patch_size: 16,
  qkv_bias: true,
};

const TEXT: BlockConfig = {
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
};

/** The configuration of the published base models (Salesforce/blip-image-captioning-base, blip-itm-base-coco). */
export const BLIP_BASE: BlipConfig = {
  vision: VISION,
  text: {
    ...TEXT,
    num_attention_heads: 12,
    vocab_size: 30524,
    max_position_embeddings: 512,
    encoder_hidden_size: 768,
    bos_token_id: 30522,
    sep_token_id: 102,
    pad_token_id: 0,
    label_smoothing: 0,
  },
  image_text_hidden_size: 256,
  tie_word_embeddings: true,
};

/** Reads a published `config.json`. @throws ScorerConfigError naming the file and every field that is wrong */
export function readBlipConfig(fields: ConfigFields): BlipConfig {
  const type = fields.text('model_type') ?? 'blip';
  if (type !== 'blip') fields.fault(`model_type is "${type}", expected "blip"`);
  const text = part(fields, 'text_config');
  const vision = readBlipVisionConfig(part(fields, 'vision_config'), VISION);
  const { text: base } = BLIP_BASE;
  text.only('position_embedding_type', 'absolute', 'positions are built');
  text.only('is_decoder', true, 'has cross attention');
  const config: BlipConfig = {
    vision,
    text: {
      ...readBlockConfig(text, TEXT),
      vocab_size: text.size('vocab_size', base.vocab_size),
      max_position_embeddings: text.size('max_position_embeddings', base.max_position_embeddings),
      // Upstream takes the tower's width, whatever the file says.
      encoder_hidden_size: vision.hidden_size,
      bos_token_id: text.id('bos_token_id', base.bos_token_id),
      sep_token_id: text.id('sep_token_id', base.sep_token_id),
      pad_token_id: text.id('pad_token_id', base.pad_token_id),
      label_smoothing: text.number('label_smoothing', base.label_smoothing),
    },
    image_text_hidden_size: fields.size('image_text_hidden_size', BLIP_BASE.image_text_hidden_size),
    // Upstream ties them unless both objects say no.
    tie_word_embeddings: [fields, text].map((each) => each.flag('tie_word_embeddings', true)).includes(true),
  };
  for (const name of ['bos_token_id', 'sep_token_id', 'pad_token_id'] as const)
    if (config.text[name] >= config.text.vocab_size)
      text.fault(`${name} ${config.text[name]} is outside vocab_size ${config.text.vocab_size}`);
  fields.check();
  return config;
}

/** The object of a part; the oldest files have it under another name, and it counts there. */
function part(fields: ConfigFields, name: string): ConfigFields {
  return fields.inner(fields.has(`${name}_dict`) ? `${name}_dict` : name);
}
