/** Show-o's language model: ids in, hidden states and logits out. Samplers, replay and losses share these passes. */
import { inFloat32, mixtureOf, tf } from '../../engine';
import { isExtended } from '../../nn/extra-tokens';
import type { Following } from '../../nn/following-step';
import { rotaryTables } from '../../nn/rotary';
import { type RowInputs, rowInputs } from '../../nn/row-inputs';
import type { ConceptTokens } from './concept-tokens';
import { type ShowoConfig, type ShowoVocabulary, showoVocabulary } from './config';
import type { DrawnInputs } from './image-inputs';
import { type CachedRows, rotaryOf, type ShowoLayers } from './layers';

/** Logits over the image codes, `[places, codebook]`. */
export interface ImageLogits {
  /** uncond + s (cond - uncond): what codes are drawn from. */
  readonly guided: tf.Tensor2D;
  readonly conditional: tf.Tensor2D;
}

export class ShowoNetwork {
  readonly config: ShowoConfig;
  readonly vocabulary: ShowoVocabulary;

  /**
   * @param layers with their numbers, and with what stands around them: adapters, checkpointing, a subject's rows
   * @param concept a subject's tokens, whose ids begin where the vocabulary ends
   */
  constructor(
    readonly layers: ShowoLayers,
    readonly concept?: ConceptTokens,
  ) {
    this.config = layers.config;
    this.vocabulary = showoVocabulary(layers.config);
  }

  /** What text is drawn from: the text vocabulary, then a subject's `<sks>`. */
  get sayableIds(): { readonly count: number; idOf: (index: number) => number; indexOf: (id: number) => number } {
    const words = this.config.llm_vocab_size;
    const subject = this.concept?.subject ?? -1;
    return {
      count: words + (this.concept ? 1 : 0),
      idOf: (index) => (index < words ? index : subject),
      indexOf: (id) => (id === subject ? words : id),
    };
  }

  /** Rows of one length, whose tokens stand at 0, 1, 2 .., as {@link hidden} takes them. */
  inputs(rows: readonly ArrayLike<number>[], masks: readonly Uint8Array[]): RowInputs {
    return rowInputs(
      rows,
      masks,
      rotaryTables(
        Array.from(rows[0], (_, i) => i),
        rotaryOf(this.config),
      ),
    );
  }

  /** Hidden states of tokens that follow those of a cache, `[rows, tokens, hidden]`. @param ids int32 `[rows, tokens]` */
  following(ids: tf.Tensor2D, at: Following): tf.Tensor3D {
    return this.layers.hidden(ids, at);
  }

  /** Hidden states `[rows, tokens, hidden]`. @param into a cache that is to hold the rows */
  hidden({ ids, mask, tables }: RowInputs, into?: Pick<CachedRows, 'cache' | 'counts'>): tf.Tensor3D {
    return this.layers.hidden(ids, { mask, tables, ...into });
  }

  /** Those of some places of the flattened rows, `[places, hidden]`. */
  hiddenAt({ ids, mask, tables }: RowInputs, at: tf.Tensor1D): tf.Tensor2D {
    return this.layers.hiddenAt(ids, { mask, tables }, at);
  }

  /** Logits over the whole vocabulary (and a subject's rows), `[rows, vocab]`, of hidden states `[rows, hidden]`. */
  logits(hidden: tf.Tensor2D): tf.Tensor2D {
    // Logits in float32, but with AMX: rounded ones move log-probs by more than a step of training does.
    return inFloat32<tf.Tensor2D>(() => this.layers.showo.lm_head.forward(hidden));
  }

  /** Logits over {@link sayableIds}, `[rows, count]`. */
  textLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    const { lm_head } = this.layers.showo;
    return tf.tidy(() => {
      const base = this.logitsRange(hidden, 0, this.config.llm_vocab_size);
      if (!this.concept || !isExtended(lm_head)) return base;
      const { extra } = lm_head;
      const own = inFloat32<tf.Tensor2D>(() => extra.outputs(hidden, extra.weight.shape[0] - 1, 1));
      return tf.concat([base, own], 1);
    });
  }

  /**
   * Logits of the codes that are asked for. A function of tensors.
   * @param guidanceScale s; 1 for inputs that were made without guidance
   */
  imageLogits(inputs: DrawnInputs, guidanceScale: number): ImageLogits {
    return tf.tidy(() => {
      const logits = this.codeLogits(this.layers.hiddenAt(inputs.ids, inputs, inputs.at));
      if (guidanceScale === 1) return { guided: logits, conditional: logits };
      const half = inputs.at.size / 2;
      return { guided: mixtureOf(logits, half, guidanceScale), conditional: tf.slice(logits, [0, 0], [half, -1]) };
    });
  }

  /** Logits over the image codes, `[places, codebook]`, of hidden states `[places, hidden]`. */
  codeLogits(hidden: tf.Tensor2D): tf.Tensor2D {
    return this.logitsRange(hidden, this.vocabulary.imageOffset, this.config.codebook_size);
  }

  /** Logits over ids `from` .. `from + count - 1` alone, `[rows, count]`: an image needs its codes only. */
  private logitsRange(hidden: tf.Tensor2D, from: number, count: number): tf.Tensor2D {
    return inFloat32<tf.Tensor2D>(() => this.layers.showo.lm_head.outputs(hidden, from, count));
  }
}
