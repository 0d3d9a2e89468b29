/** BERT's network (Devlin et al. 2019), ERNIE's table of tasks included, under Hugging Face's names. */
import { tf } from '../../../engine';
import { runBlocks } from '../../../nn/encoder';
import { Embedding, LayerNorm, Linear } from '../../../nn/layers';
import { Module } from '../../../nn/module';
import { BertBlock } from './block';
import type { BertConfig } from './config';
import { paddingMask, tableTensor, type TokenRows } from './rows';

/** Token rows with what BERT and ERNIE know beside the tokens. */
export interface BertRows extends TokenRows {
  /** The kind of each token, 0 .. type_vocab_size - 1. Default: 0 everywhere. */
  readonly types?: readonly ArrayLike<number>[];
  /** ERNIE: the task of each token, 0 .. task_types - 1. Default: 0 everywhere. */
  readonly tasks?: readonly ArrayLike<number>[];
}

export class BertNetwork extends Module<BertConfig & { readonly pooler: boolean }> {
  readonly embeddings = {
    word_embeddings: new Embedding(this.config.vocab_size, this.config.hidden_size),
    position_embeddings: new Embedding(this.config.max_position_embeddings, this.config.hidden_size),
    token_type_embeddings: new Embedding(this.config.type_vocab_size, this.config.hidden_size),
    task_type_embeddings:
      this.config.task_types > 0 ? new Embedding(this.config.task_types, this.config.hidden_size) : undefined,
    LayerNorm: new LayerNorm(this.config.hidden_size, this.config.layer_norm_eps),
  };
  readonly encoder = {
    layer: Array.from({ length: this.config.num_hidden_layers }, () => new BertBlock(this.config)),
  };
  readonly pooler = this.config.pooler
    ? { dense: new Linear(this.config.hidden_size, this.config.hidden_size) }
    : undefined;

  /**
   * Hidden states after the last block, `[batch, tokens, hidden]`.
   * @param rows checked by the caller
   * @param keep is given what enters the first block, then every block's output; they are then the caller's
   */
  forward(rows: BertRows, keep?: (state: tf.Tensor3D) => void): tf.Tensor3D {
    const embedded = this.embed(rows);
    keep?.(embedded);
    return runBlocks(this.encoder.layer, embedded, paddingMask(rows.mask), keep);
  }

  /** tanh of a linear map of token 0, `[batch, hidden]`; undefined for a network without a pooler. */
  pool(states: tf.Tensor3D): tf.Tensor2D | undefined {
    return this.pooler && tf.tanh(this.pooler.dense.forward(firstToken(states)));
  }

  private embed({ ids, types, tasks }: BertRows): tf.Tensor3D {
    const { word_embeddings, position_embeddings, token_type_embeddings, task_type_embeddings } = this.embeddings;
    const rowsOf = (table: Embedding, kinds?: readonly ArrayLike<number>[]): tf.Tensor =>
      kinds ? table.forward(tableTensor(kinds)) : tf.slice(table.weight.value, [0, 0], [1, -1]);
    return tf.tidy(() => {
      const places = tf.slice(position_embeddings.weight.value, [0, 0], [ids[0].length, -1]);
      const words = tf.add(rowsOf(word_embeddings, ids), rowsOf(token_type_embeddings, types));
      const sum = tf.add<tf.Tensor3D>(words, places);
      const whole = task_type_embeddings ? tf.add<tf.Tensor3D>(sum, rowsOf(task_type_embeddings, tasks)) : sum;
      return this.embeddings.LayerNorm.forward(whole);
    });
  }
}

/** `[batch, tokens, hidden]` -> its first token, `[batch, hidden]`. */
export function firstToken(states: tf.Tensor3D): tf.Tensor2D {
  return tf.tidy(() => tf.squeeze<tf.Tensor2D>(tf.slice(states, [0, 0, 0], [-1, 1, -1]), [1]));
}
