/**
 * Sentences to unit vectors by BERT, MiniLM or ERNIE (Reimers and Gurevych 2019): the `SentenceEmbedder` that rewards
 * ask. Reads a folder as transformers or sentence-transformers leave it.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { loadWordPiece, type WordPiece } from '../../text/wordpiece';
import { BertModel, padRows, type SentencePooling } from './bert';
import { ConfigFields, ScorerConfigError } from './bert/fields';

export interface SentenceOptions {
  /** As it stands in logs. Default: the folder's name. */
  readonly name?: string;
  /** Default: what `1_Pooling/config.json` says, else `mean`. */
  readonly pooling?: SentencePooling;
  /** Longest row of tokens; what is beyond is cut. Default: what `sentence_bert_config.json` says, else the model's longest. */
  readonly maxTokens?: number;
}

export class SentenceEncoder {
  constructor(
    readonly name: string,
    readonly model: BertModel,
    readonly tokenizer: WordPiece,
    readonly pooling: SentencePooling = 'mean',
    readonly maxTokens = model.config.max_position_embeddings,
  ) {}

  /**
   * @throws ScorerConfigError, WordPieceError, SafetensorsError or CheckpointMismatchError saying all that is wrong; a
   *   pooling other than mean and first token is one
   */
  static async fromPretrained(folder: string, options: SentenceOptions = {}): Promise<SentenceEncoder> {
    const tokenizer = await loadWordPiece(folder);
    const pooling = options.pooling ?? (await poolingOf(folder));
    const wanted = options.maxTokens ?? (await maxTokensOf(folder)) ?? Infinity;
    const model = await BertModel.fromPretrained(folder, { pooler: false });
    const maxTokens = Math.min(wanted, model.config.max_position_embeddings);
    return new SentenceEncoder(
      options.name ?? path.basename(path.resolve(folder)),
      model,
      tokenizer,
      pooling,
      maxTokens,
    );
  }

  /** Length of a vector. */
  get size(): number {
    return this.model.config.hidden_size;
  }

  /** One unit vector a sentence, in order. Sentences of like length are encoded together, 32 at a time. */
  async embed(sentences: readonly string[]): Promise<Float32Array[]> {
    const rows = sentences.map((sentence) => this.tokenizer.encode(sentence, this.maxTokens));
    const order = rows.map((_, i) => i).sort((a, b) => rows[a].length - rows[b].length);
    const out = new Array<Float32Array>(rows.length);
    for (let from = 0; from < order.length; from += CHUNK) {
      const piece = order.slice(from, from + CHUNK);
      const some = piece.map((i) => rows[i]);
      const vectors = this.model.sentences(padRows(some, this.tokenizer.padId), this.pooling);
      piece.forEach((i, at) => (out[i] = vectors[at]));
    }
    return out;
  }

  dispose(): void {
    this.model.dispose();
  }
}

const CHUNK = 32;

/** What sentence-transformers notes of the pooling; `mean` where it noted nothing. */
async function poolingOf(folder: string): Promise<SentencePooling> {
  const file = path.join(folder, '1_Pooling', 'config.json');
  if ((await readFile(file).catch(() => undefined)) === undefined) return 'mean';
  const fields = await ConfigFields.read(path.join(folder, '1_Pooling'));
  const [mean, cls] = ['pooling_mode_mean_tokens', 'pooling_mode_cls_token'].map((name) => fields.flag(name, false));
  const others = ['pooling_mode_max_tokens', 'pooling_mode_mean_sqrt_len_tokens', 'pooling_mode_lasttoken'];
  for (const other of others) fields.only(other, false, 'can be taken: mean and first token are known');
  fields.check();
  if (mean === cls) throw new ScorerConfigError(`${file}: expected either mean or first token, not both or neither`);
  return mean ? 'mean' : 'cls';
}

async function maxTokensOf(folder: string): Promise<number | undefined> {
  const name = 'sentence_bert_config.json';
  if ((await readFile(path.join(folder, name)).catch(() => undefined)) === undefined) return undefined;
  const fields = await ConfigFields.read(folder, name);
  const length = fields.has('max_seq_length') ? fields.size('max_seq_length') : undefined;
  fields.check();
  return length;
}
