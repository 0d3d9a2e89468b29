/**
 * Chameleon's language model: LLaMA's decoder with norms on every head's queries and keys, over one vocabulary of text
 * and image codes.
 */
import { inFloat32, tf } from '../../engine';
import { exactLogits, type LlamaForwardOptions } from '../../nn/llama';
import type { RowInputs } from '../../nn/row-inputs';
import type { SharedTextInputs } from '../../nn/shared-texts';
import { CONCEPT_BIAS, type ConceptTokens } from './concept-tokens';
import type { ChameleonConfig } from './config';
import type { ChameleonLayers } from './layers';
import { type ChameleonVocabulary, chameleonVocabulary } from './vocabulary';

/** What transformers puts at the logits of image codes where text is to be said: float32's lowest number. */
export const MASKED_LOGIT = -3.4028234663852886e38;
/** Far below any logit, and yet such that sums and softmax stay finite. */
const HIDDEN_LOGIT = -1e9;

/** How rows are read; see `LlamaForwardOptions`. */
export type HiddenOptions = Pick<LlamaForwardOptions, 'cache' | 'counts' | 'mask'>;

type TensorOptions = Pick<LlamaForwardOptions, 'cache' | 'counts' | 'lengths' | 'mask'> &
  Partial<Pick<RowInputs, 'tables'>>;

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
    return tf.tidy(() => this.hiddenOf({ ids: this.idsOf(rows), ...options }));
  }

  /** Rows as a tensor, int32 `[batch, tokens]`. @throws RangeError; see {@link hidden} */
  idsOf(rows: readonly ArrayLike<number>[]): tf.Tensor2D {
    checkRows(rows, this.width);
    const flat = Int32Array.from(rows.flatMap((row) => Array.from(row)));
    return tf.tensor2d(flat, [rows.length, rows[0].length], 'int32');
  }

  /** The same of rows that are tensors already: a function of them alone. */
  hiddenOf({ ids, tables, ...options }: Pick<RowInputs, 'ids'> & TensorOptions): tf.Tensor3D {
    const { model } = this.layers;
    return tf.tidy(() => model.forward(model.embed_tokens.forward(ids), { ...options, positions: tables }));
  }

  /** The same of rows that share beginnings, `[1, all tokens, hidden]`. */
  hiddenShared({ ids, ...shared }: SharedTextInputs): tf.Tensor3D {
    const { model } = this.layers;
    return tf.tidy(() => model.forward(model.embed_tokens.forward(ids), { shared }));
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
