/**
 * BERT (Devlin et al. 2019) as an encoder of sentences, and with it MiniLM (Wang et al. 2020) and ERNIE (`ernie.ts`),
 * which are the same network. Hugging Face parameter names. Frozen; takes token rows, for text see `sentences.ts`.
 */
import { embedding, readValues, type Rng, tf } from '../../engine';
import { declareLayerNorm, declareLinear, namedLayerNorm, namedLinear } from '../../nn/encoder';
import { type NameRules, type ParameterSpec, Parameters } from '../../nn/parameters';
import { attend, declareAttention, declareFeedForward, feedForward, keysValues } from './bert/block';
import { type BertConfig, readBertConfig } from './bert/config';
import { ConfigFields } from './bert/fields';
import { freeze, isPositionIds, loadFrozen } from './bert/load';
import { checkRows, checkTable, paddingMask, tableTensor, type TokenRows } from './bert/rows';

export { BERT_BASE, type BertConfig, MINILM_L6 } from './bert/config';
export { padRows, type TokenRows } from './bert/rows';

/** Token rows with what BERT and ERNIE know beside the tokens. */
export interface BertRows extends TokenRows {
  /** The kind of each token, 0 .. type_vocab_size - 1. Default: 0 everywhere. */
  readonly types?: readonly ArrayLike<number>[];
  /** ERNIE: the task of each token, 0 .. task_types - 1. Default: 0 everywhere. */
  readonly tasks?: readonly ArrayLike<number>[];
}

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
  protected constructor(
    readonly config: BertConfig,
    readonly parameters: Parameters,
  ) {}

  /** One with random weights. */
  static random(config: BertConfig, rng: Rng): BertModel {
    return new BertModel(config, freeze(Parameters.random(bertSpecs(config), rng)));
  }

  /**
   * Loads `config.json` and the weights of a folder, of a bare encoder or of one under a head for another task
   * (`bert.` before every name; the head is left out).
   * @throws ExpertConfigError, SafetensorsError or CheckpointMismatchError saying all that is wrong
   */
  static async fromPretrained(folder: string, options: BertOptions = {}): Promise<BertModel> {
    return new BertModel(...(await loadBert(folder, options)));
  }

  /**
   * One pass over the rows.
   * @throws RangeError for rows, masks, types or tasks that do not fit, naming row and position
   */
  forward(rows: BertRows): BertOutput {
    const { parameters: p, config } = this;
    const shape = this.check(rows);
    return tf.tidy(() => {
      const mask = paddingMask(rows.mask);
      const hiddenStates = [this.embed(rows, shape[1])];
      for (let layer = 0; layer < config.num_hidden_layers; layer++)
        hiddenStates.push(bertBlock(p, config, layer, hiddenStates[layer], mask));
      const lastHiddenState = hiddenStates[hiddenStates.length - 1];
      const poolerOutput = p.has('pooler.dense.weight')
        ? tf.tanh(namedLinear(p, 'pooler.dense', tf.squeeze(tf.slice(lastHiddenState, [0, 0, 0], [-1, 1, -1]), [1])))
        : undefined;
      return { hiddenStates, lastHiddenState, poolerOutput: poolerOutput as tf.Tensor2D | undefined };
    });
  }

  /**
   * One vector a row, not normalized; the caller disposes it.
   * @param pooling `mean` (default): over the tokens that the mask shows; `cls`: token 0
   * @returns `[batch, hidden]`
   */
  pooled(rows: BertRows, pooling: SentencePooling = 'mean'): tf.Tensor2D {
    const shape = this.check(rows);
    return tf.tidy(() => {
      const mask = paddingMask(rows.mask);
      let h = this.embed(rows, shape[1]);
      for (let layer = 0; layer < this.config.num_hidden_layers; layer++) {
        const next = bertBlock(this.parameters, this.config, layer, h, mask);
        h.dispose();
        h = next;
      }
      if (pooling === 'cls') return tf.squeeze<tf.Tensor2D>(tf.slice(h, [0, 0, 0], [-1, 1, -1]), [1]);
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
      const values = readValues(() => unitRows(this.pooled(piece, pooling)));
      for (let at = 0; at < values.length; at += size) out.push(values.slice(at, at + size));
    }
    return out;
  }

  dispose(): void {
    this.parameters.dispose();
  }

  private check(rows: BertRows): [number, number] {
    const { vocab_size: vocabulary, max_position_embeddings: positions, type_vocab_size, task_types } = this.config;
    const model = this.config.model_type;
    const shape = checkRows(rows, { model, vocabulary, positions });
    if (rows.types) checkTable(rows.types, shape, type_vocab_size, `${model}: token type`);
    if (rows.tasks && task_types === 0) throw new RangeError(`${model}: this model has no table of task types`);
    if (rows.tasks) checkTable(rows.tasks, shape, task_types, `${model}: task type`);
    return shape;
  }

  /** `[batch, tokens, hidden]`, normed. */
  private embed({ ids, types, tasks }: BertRows, tokens: number): tf.Tensor3D {
    const { parameters: p, config } = this;
    const looked = (kind: string, table?: readonly ArrayLike<number>[]): tf.Tensor => {
      const weight = p.get(`embeddings.${kind}_embeddings.weight`);
      return table ? embedding(weight, tableTensor(table)) : tf.slice(weight as tf.Tensor2D, [0, 0], [1, -1]);
    };
    return tf.tidy(() => {
      const places = tf.slice(p.get('embeddings.position_embeddings.weight') as tf.Tensor2D, [0, 0], [tokens, -1]);
      let sum = tf.add(tf.add(looked('word', ids), looked('token_type', types)), places);
      if (config.task_types > 0) sum = tf.add(sum, looked('task_type', tasks));
      return namedLayerNorm(p, 'embeddings.LayerNorm', sum, config.layer_norm_eps) as tf.Tensor3D;
    });
  }
}

/** Configuration and weights of a folder. @throws as {@link BertModel.fromPretrained} */
export async function loadBert(folder: string, { pooler = true }: BertOptions): Promise<[BertConfig, Parameters]> {
  const config = readBertConfig(await ConfigFields.read(folder));
  return [config, await loadFrozen(folder, bertSpecs(config, pooler), (names) => bertNames(names, pooler))];
}

/** Every parameter under its upstream name. */
export function bertSpecs(config: BertConfig, pooler = true): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  const { hidden_size: hidden } = config;
  const table = (kind: string, rows: number) => {
    specs[`embeddings.${kind}_embeddings.weight`] = { shape: [rows, hidden], init: { normal: 0.02 } };
  };
  table('word', config.vocab_size);
  table('position', config.max_position_embeddings);
  table('token_type', config.type_vocab_size);
  if (config.task_types > 0) table('task_type', config.task_types);
  declareLayerNorm(specs, 'embeddings.LayerNorm', hidden);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    declareAttention(specs, `encoder.layer.${layer}.attention`, 'self', config);
    declareFeedForward(specs, `encoder.layer.${layer}`, config);
  }
  if (pooler) declareLinear(specs, 'pooler.dense', hidden, hidden);
  return specs;
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

function bertBlock(
  p: Parameters,
  config: BertConfig,
  layer: number,
  x: tf.Tensor3D,
  mask: tf.Tensor | null,
): tf.Tensor3D {
  return tf.tidy(() => {
    const name = `encoder.layer.${layer}`;
    const own = keysValues(p, `${name}.attention`, 'self', config, x);
    const mixed = attend(p, `${name}.attention`, 'self', config, x, own, mask);
    return feedForward(p, name, config, mixed);
  });
}

/** Rows scaled to length 1; a row of zeros stays one. */
function unitRows(x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.div(x, tf.maximum(tf.sqrt(tf.sum(tf.square(x), 1, true)), 1e-12)));
}
