/**
 * Chameleon's language model: LLaMA's decoder with norms on every head's queries and keys, over one vocabulary of text
 * and image codes; and rows that grow token by token.
 */
import { inFloat32, readValues, tf } from '../../engine';
import { causalMask } from '../../nn/causal-mask';
import { KvCache } from '../../nn/kv-cache';
import { exactLogits } from '../../nn/llama';
import type { RowInputs } from '../../nn/row-inputs';
import { CONCEPT_BIAS, type ConceptTokens } from './concept-tokens';
import type { ChameleonConfig } from './config';
import type { ChameleonLayers } from './layers';
import { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';

/** What transformers puts at the logits of image codes where text is to be said: float32's lowest number. */
export const MASKED_LOGIT = -3.4028234663852886e38;
/** Far below any logit, and yet such that sums and softmax stay finite. */
const HIDDEN_LOGIT = -1e9;

export interface HiddenOptions {
  /** What came before the ids; they are added to it. */
  readonly cache?: KvCache;
  /** Tokens of padding on the left, the cache's included, one count a row. They are not seen. Default none. */
  readonly pads?: readonly number[];
  /** Position of every token, one list a row. Default: their place, padding counted. */
  readonly positions?: readonly (readonly number[])[];
  /** Added to attention scores, `[rows or 1, 1, tokens, keys]`, in place of causal attention and `pads`. */
  readonly mask?: tf.Tensor4D;
}

export class ChameleonNetwork {
  readonly vocabulary: ChameleonVocabulary;

  /**
   * @param layers with their numbers, and with what stands around them: adapters, checkpointing, a subject's rows
   * @param concept a subject's tokens, whose ids begin where the vocabulary ends
   * @throws ChameleonConfigError for a vocabulary that does not fit
   */
  constructor(
    readonly config: ChameleonConfig,
    readonly layers: ChameleonLayers,
    readonly concept?: ConceptTokens,
  ) {
    this.vocabulary = chameleonVocabulary(config);
  }

  /** Number of ids: the vocabulary's, and the subject's. */
  get width(): number {
    return this.vocabulary.size + (this.concept?.count ?? 0);
  }

  /**
   * Hidden states after the last norm, `[batch, tokens, hidden]`.
   * @param rows ids `[batch][tokens]`
   * @throws RangeError for rows of different lengths, or ids outside the vocabulary
   */
  hidden(rows: readonly ArrayLike<number>[], options: HiddenOptions = {}): tf.Tensor3D {
    checkRows(rows, this.width);
    const tokens = rows[0].length;
    return tf.tidy(() => {
      const flat = Int32Array.from(rows.flatMap((row) => Array.from(row)));
      const { model } = this.layers;
      const embeds = model.embed_tokens.forward(tf.tensor2d(flat, [rows.length, tokens], 'int32'));
      const keys = (options.cache?.length ?? 0) + tokens;
      return model.forward(embeds, {
        cache: options.cache,
        positions: options.positions,
        mask: options.mask ?? (options.pads ? causalMask(tokens, keys, options.pads) : undefined),
      });
    });
  }

  /** The same of rows that are tensors already: a function of them alone. */
  hiddenOf({ ids, mask, tables }: RowInputs): tf.Tensor3D {
    const { model } = this.layers;
    return tf.tidy(() => model.forward(model.embed_tokens.forward(ids), { mask, positions: tables }));
  }

  /** Logits of every id, `[rows, width]`, of hidden states `[rows, hidden]`; nothing is masked. */
  logits(hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const logits = exactLogits(this.layers.lm_head, hidden);
      const { size } = this.vocabulary;
      if (!this.concept) return logits;
      const bias = Float32Array.from({ length: this.width }, (_, id) => (id < size ? 0 : CONCEPT_BIAS));
      return tf.add<tf.Tensor2D>(logits, tf.tensor1d(bias));
    });
  }

  /** Logits of the image codes alone, `[rows, codes]`, in the order of their ids: an image needs no others. */
  imageLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    const { imageIds } = this.vocabulary;
    const [first, count] = [imageIds[0], imageIds.length];
    const together = imageIds[count - 1] - first === count - 1;
    return tf.tidy(() =>
      together
        ? inFloat32<tf.Tensor2D>(() => this.layers.lm_head.outputs(hidden, first, count))
        : tf.gather(this.logits(hidden), tf.tensor1d(imageIds, 'int32'), 1),
    );
  }

  /** What is added to logits so that only text can be said, `[width]`. @param mayBegin whether an image can begin */
  textMask(mayBegin: boolean): tf.Tensor1D {
    const { boi, codeOfId, imageSpecials } = this.vocabulary;
    const mask = new Float32Array(this.width);
    codeOfId.forEach((code, id) => (mask[id] = code >= 0 ? HIDDEN_LOGIT : 0));
    for (const id of imageSpecials) mask[id] = HIDDEN_LOGIT;
    for (const id of this.concept?.silent ?? []) mask[id] = HIDDEN_LOGIT;
    if (!mayBegin) mask[boi] = HIDDEN_LOGIT;
    return tf.tensor1d(mask);
  }
}

function checkRows(rows: readonly ArrayLike<number>[], width: number): void {
  const tokens = rows[0]?.length ?? 0;
  rows.forEach((row, b) => {
    if (row.length !== tokens || tokens === 0)
      throw new RangeError(`chameleon: row ${b} has ${row.length} tokens, row 0 has ${tokens}; one length, 1 at least`);
    for (let i = 0; i < tokens; i++)
      if (!(row[i] >= 0 && row[i] < width))
        throw new RangeError(`chameleon: id ${row[i]} at ${i} of row ${b} is outside 0..${width - 1}`);
  });
}

/** Logits as transformers gives them: image codes at float32's lowest number. @param logits `[..., vocab]` */
export function maskImageLogits<T extends tf.Tensor>(v: ChameleonVocabulary, logits: T): T {
  return tf.tidy(() => {
    const codes = Uint8Array.from(v.codeOfId, (code) => (code >= 0 ? 1 : 0));
    return tf.where(tf.tensor1d(codes, 'bool'), tf.fill(logits.shape, MASKED_LOGIT), logits) as T;
  });
}

/** A row of a {@link Branch}: the same key from call to call. */
export interface BranchRow {
  readonly key: object;
  /** All of its tokens, oldest first; none: it has nothing to say yet, or any more. */
  readonly context: readonly number[];
}

/**
 * Rows that grow token by token, and the logits of what comes next. Rows of different lengths stand together, padded on
 * the left; a row whose context was cleared starts anew at position 0 while the others go on.
 */
export class Branch {
  private cache: KvCache | undefined;
  private rows: readonly BranchRow[] = [];
  /** Tokens that the cache holds of each row, padding included. */
  private length = 0;

  constructor(private readonly network: ChameleonNetwork) {}

  /**
   * Reads what is new in the rows; those that are not named any more are dropped.
   * @returns logits of the next token, `[rows * width]`; those of empty rows mean nothing
   */
  next(rows: readonly BranchRow[]): Float32Array {
    const places = rows.map(({ key }) => this.rows.findIndex((row) => row.key === key));
    const fresh = places.includes(-1)
      ? 0
      : newTokens(
          rows,
          places.map((at) => this.rows[at].context.length),
        );
    if (!this.cache || fresh === 0) return this.start(rows);
    if (places.length !== this.rows.length || places.some((at, b) => at !== b)) this.cache.select(places);
    this.rows = rows;
    this.length += fresh;
    return this.forward(rows, fresh);
  }

  dispose(): void {
    this.cache?.dispose();
    this.cache = undefined;
  }

  /** Reads the rows from their beginnings; equal ones (of a group, which has one prompt) once. */
  private start(rows: readonly BranchRow[]): Float32Array {
    this.dispose();
    this.cache = new KvCache(this.network.config.text.num_hidden_layers);
    const names = rows.map(({ context }) => context.join());
    const unique = rows.filter((_, b) => names.indexOf(names[b]) === b);
    this.length = Math.max(1, ...unique.map(({ context }) => context.length));
    const first = this.forward(unique, this.length);
    this.rows = rows;
    if (unique.length === rows.length) return first;
    const of = names.map((name) => unique.findIndex(({ context }) => context.join() === name));
    this.cache.select(of);
    const { width } = this.network;
    const logits = new Float32Array(of.length * width);
    of.forEach((from, b) => logits.set(first.subarray(from * width, (from + 1) * width), b * width));
    return logits;
  }

  /** @param fresh tokens that the cache does not hold yet */
  private forward(rows: readonly BranchRow[], fresh: number): Float32Array {
    const { network, cache, length } = this;
    const pads = rows.map(({ context }) => length - context.length);
    const ids = rows.map(({ context }) => lastOf(context, fresh, network.vocabulary.pad));
    const positions = pads.map((pad) => Array.from({ length: fresh }, (_, i) => Math.max(0, length - fresh + i - pad)));
    return readValues(() => {
      const hidden = network.hidden(ids, { cache, pads, positions });
      const last = tf.slice(hidden, [0, fresh - 1, 0], [-1, 1, -1]);
      return network.logits(tf.reshape<tf.Rank.R2>(last, [rows.length, -1]));
    });
  }
}

/**
 * How many tokens every row has more than is held of it; rows that were cleared may have fewer.
 * @returns 0 when the rows do not grow alike, and have to be read anew
 */
function newTokens(rows: readonly BranchRow[], held: readonly number[]): number {
  const grown = rows.map(({ context }, b) => context.length - held[b]);
  const going = grown.filter((_, b) => held[b] > 0 && rows[b].context.length > 0);
  const fresh = Math.max(0, ...(going.length > 0 ? going : grown));
  const fits = rows.every(({ context }, b) =>
    held[b] === 0 || context.length === 0 ? context.length <= fresh : grown[b] === fresh,
  );
  return fits ? fresh : 0;
}

/** The last `count` of a row that stands behind padding. */
function lastOf(row: readonly number[], count: number, filler: number): number[] {
  return Array.from({ length: count }, (_, i) => row[row.length - count + i] ?? filler);
}
