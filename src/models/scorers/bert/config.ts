/** The configuration of BERT and ERNIE encoders. */
import { type BlockConfig, readBlockConfig } from './block';
import type { ConfigFields } from './fields';

export interface BertConfig extends BlockConfig {
  readonly model_type: 'bert' | 'ernie';
  readonly vocab_size: number;
  /** Longest row. */
  readonly max_position_embeddings: number;
  /** Kinds of token: 0 for a first sentence, 1 for a second; ERNIE has up to 4. */
  readonly type_vocab_size: number;
  readonly pad_token_id: number;
  /** ERNIE's kinds of task; 0 where the model has no table of them (BERT, ERNIE with `use_task_id` false). */
  readonly task_types: number;
}

/** The configuration of bert-base-uncased. */
export const BERT_BASE: BertConfig = {
  model_type: 'bert',
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  vocab_size: 30522,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  pad_token_id: 0,
  task_types: 0,
};

/** MiniLM's (all-MiniLM-L6-v2), the usual sentence encoder: 22.7 million parameters. */
export const MINILM_L6: BertConfig = {
  ...BERT_BASE,
  hidden_size: 384,
  num_hidden_layers: 6,
  intermediate_size: 1536,
};

/**
 * Reads a published `config.json`.
 * @throws ScorerConfigError naming the file and every field that is wrong; another kind of model is one
 */
export function readBertConfig(fields: ConfigFields): BertConfig {
  const type = fields.text('model_type') ?? 'bert';
  if (type !== 'bert' && type !== 'ernie') fields.fault(`model_type is "${type}", expected "bert" or "ernie"`);
  fields.only('position_embedding_type', 'absolute', 'positions are built');
  fields.only('is_decoder', false, 'is an encoder');
  const ernie = type === 'ernie';
  const config: BertConfig = {
    model_type: ernie ? 'ernie' : 'bert',
    ...readBlockConfig(fields, BERT_BASE),
    vocab_size: fields.size('vocab_size', BERT_BASE.vocab_size),
    max_position_embeddings: fields.size('max_position_embeddings', BERT_BASE.max_position_embeddings),
    type_vocab_size: fields.size('type_vocab_size', BERT_BASE.type_vocab_size),
    pad_token_id: fields.id('pad_token_id', BERT_BASE.pad_token_id),
    task_types: ernie && fields.flag('use_task_id', false) ? fields.size('task_type_vocab_size', 3) : 0,
  };
  fields.check();
  return config;
}
