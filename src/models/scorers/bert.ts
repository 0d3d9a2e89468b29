/**
 * BERT (Devlin et al. 2019) as an encoder of sentences, and with it MiniLM (Wang et al. 2020) and ERNIE (`ernie.ts`),
 * which are the same network. Hugging Face parameter names. Frozen; takes token rows, for text see `sentences.ts`.
 */
import { readValues, type Rng, tf } from '../../engine';
import type { NameRules } from '../../nn/checkpoint-fit';
import type { ParamStore } from '../../nn/store';
import { l2Normalize } from '../../nn/vqgan-codebook';
import { type BertConfig, readBertConfig } from './bert/config';
import { ConfigFields } from './bert/fields';
import { type FrozenNetwork, isPositionIds, loadFrozen, randomFrozen } from './bert/load';
import { BertNetwork, type BertRows, firstToken } from './bert/network';
import { checkRows, checkTable, tableTensor } from './bert/rows';

export { BERT_BASE, type BertConfig, MINILM_L6 } from './bert/config';
export type { BertRows } from './bert/network';
export { padRows, type TokenRows } from './bert/rows';

/** Everything a forward pass gives; the caller disposes it. Rows of padding hold numbers without meaning. */
export interface BertOutput {
  /** After the embeddings' norm, then after each layer: `[batch, tokens, hidden]`, one more than there are layers. */
  readonly hiddenStates: readonly tf.Tensor3D[];
  /** The last of them. */
  readonly lastHiddenState: tf.Tensor3D;
  /** tanh of a linear map of token 0, `[batch, hidden]`; undefined for a model without one. */
  readonly poolerOutput: tf.Tensor2D | undefined;
}

/** How a sentence becomes one vector: the mean over its tokens, or its first token. */
export type SentencePooling = 'mean' | 'cls';

export interface BertOptions {
  /** Whether the pooler is loaded. Sentence encoders need none, and some files have none. Default true. */
  readonly pooler?: boolean;
}

/** Rows that {@link BertModel.sentences} encodes at once. */
const CHUNK = 32;

export class BertModel {
  readonly config: BertConfig;
  readonly parameters: ParamStore;
  private readonly net: BertNetwork;

  protected constructor({ net, parameters }: FrozenNetwork<BertNetwork>) {
    this.config = net.config;
    this.net = net;
    this.parameters = parameters;
  }

  /** One with random weights. */
  static random(config: BertConfig, rng: Rng): BertModel {
    return new BertModel(randomFrozen(new BertNetwork({ ...config, pooler: true }), rng));
  }

  /**
   * Loads `config.json` and the weights of a folder, of a bare encoder or of one under a head for another task
   * (`bert.` before every name; the head is left out).
   * @throws ScorerConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string, options: BertOptions = {}): Promise<BertModel> {
    return new BertModel(await loadBert(folder, options));
  }

  /**
   * One pass over the rows.
   * @throws RangeError for rows, masks, types or tasks that do not fit, naming row and position
   */
  forward(rows: BertRows): BertOutput {
    this.check(rows);
    return tf.tidy(() => {
      const hiddenStates: tf.Tensor3D[] = [];
      const lastHiddenState = this.net.forward(rows, (state) => hiddenStates.push(state));
      return { hiddenStates, lastHiddenState, poolerOutput: this.net.pool(lastHiddenState) };
    });
  }

  /**
   * One vector a row, not normalized; the caller disposes it.
   * @param pooling `mean` (default): over the tokens that the mask shows; `cls`: token 0
   * @returns `[batch, hidden]`
   */
  pooled(rows: BertRows, pooling: SentencePooling = 'mean'): tf.Tensor2D {
    this.check(rows);
    return tf.tidy(() => {
      const h = this.net.forward(rows);
      if (pooling === 'cls') return firstToken(h);
      if (!rows.mask) return tf.mean<tf.Tensor2D>(h, 1);
      const shown = tf.expandDims(tableTensor(rows.mask, 'float32'), 2);
      return tf.div<tf.Tensor2D>(tf.sum(tf.mul(h, shown), 1), tf.sum(shown, 1));
    });
  }

  /** Unit vectors `[hidden]`, one a row, in pieces of 32 rows. */
  sentences(rows: BertRows, pooling: SentencePooling = 'mean'): Float32Array[] {
    const size = this.config.hidden_size;
    const out: Float32Array[] = [];
    for (let from = 0; from < rows.ids.length; from += CHUNK) {
      const part = (table?: readonly ArrayLike<number>[]) => table?.slice(from, from + CHUNK);
      const piece = {
        ids: rows.ids.slice(from, from + CHUNK),
        mask: part(rows.mask),
        types: part(rows.types),
        tasks: part(rows.tasks),
      };
      const values = readValues(() => l2Normalize(this.pooled(piece, pooling)));
      for (let at = 0; at < values.length; at += size) out.push(values.slice(at, at + size));
    }
    return out;
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private check(rows: BertRows): void {
    const { vocab_size: vocabulary, max_position_embeddings: positions, type_vocab_size, task_types } = this.config;
    const model = this.config.model_type;
    const shape = checkRows(rows, { model, vocabulary, positions });
    if (rows.types) checkTable(rows.types, shape, type_vocab_size, `${model}: token type`);
    if (rows.tasks && task_types === 0) throw new RangeError(`${model}: this model has no table of task types`);
    if (rows.tasks) checkTable(rows.tasks, shape, task_types, `${model}: task type`);
  }
}

/** The network of a folder. @throws as {@link BertModel.fromPretrained} */
export async function loadBert(folder: string, { pooler = true }: BertOptions): Promise<FrozenNetwork<BertNetwork>> {
  const config = readBertConfig(await ConfigFields.read(folder));
  return loadFrozen(folder, new BertNetwork({ ...config, pooler }), (names) => bertNames(names, pooler));
}

/** Old files: `bert.` or `ernie.` before every name beside a head's tensors, and norms named gamma and beta. */
function bertNames(names: readonly string[], pooler: boolean): NameRules {
  const prefix = ['bert.', 'ernie.'].find((each) => names.some((name) => name.startsWith(`${each}embeddings.`))) ?? '';
  const rename = (name: string): string =>
    name
      .slice(prefix.length)
      .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
      .replace(/LayerNorm\.beta$/, 'LayerNorm.bias');
  const ignore = (name: string): boolean =>
    isPositionIds(name) || !name.startsWith(prefix) || (!pooler && rename(name).startsWith('pooler.'));
  return { rename, ignore };
}
