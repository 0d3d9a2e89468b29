/**
 * Concept tokens (UniCTokens-R1, Sec. 3.1): `<sks>` stands for one subject by a few learned vectors, K for
 * understanding (`<token_s>`) and M for generation (`<token_g>`). They are rows appended to the vocabulary; in a
 * prompt `<sks>` becomes `<token_s>.. <token_g>.. <sks>`.
 */
import { type Rng, tf } from '../../engine';
import { showoVocabulary } from './config';
import type { ShowoModel } from './model';
import type { ExtraTokens } from './transformer';

export interface ConceptTokenOptions {
  /** K, tokens for understanding. 16 in the paper, 4 in the mini recipe. */
  readonly understanding: number;
  /** M, tokens for generation. 8 in the paper, 2 in the mini recipe. */
  readonly generation: number;
}

/** Values to be saved and restored, by name. */
export type ConceptTokenVariables = Readonly<Record<'embed' | 'head' | 'bias', tf.Variable>>;

export class ConceptTokens implements ExtraTokens {
  private constructor(
    readonly options: ConceptTokenOptions,
    /** Id of `<sks>` in the text vocabulary: what prompts are written with. */
    readonly placeholder: number,
    private readonly firstId: number,
    readonly variables: ConceptTokenVariables,
  ) {}

  /**
   * Fresh tokens around the class word: its input and output rows plus a little noise, so that training starts from
   * "a person" and not from nowhere.
   */
  static create(
    model: ShowoModel,
    placeholder: number,
    classWord: number,
    options: ConceptTokenOptions,
    rng: Rng,
  ): ConceptTokens {
    const count = options.understanding + options.generation + 1;
    const width = model.config.hidden_size;
    const rows = (table: string, name: string) =>
      tf.tidy(() => {
        const row = tf.slice(model.parameters.get(table) as tf.Tensor2D, [classWord, 0], [1, width]);
        const noise = tf.mul(tf.tensor2d(rng.split(name).normal(count * width), [count, width]), 0.02);
        return tf.variable(tf.add(tf.tile(row, [count, 1]), noise));
      });
    return new ConceptTokens(options, placeholder, showoVocabulary(model.config).size, {
      embed: rows('showo.model.embed_tokens.weight', 'embed'),
      head: rows('showo.lm_head.weight', 'head'),
      // Far down at the start: a token that nobody asked for must not win over the vocabulary's.
      bias: tf.tidy(() => tf.variable(tf.fill([count], -5))),
    });
  }

  get embed(): tf.Tensor2D {
    return this.variables.embed as tf.Tensor2D;
  }

  get head(): tf.Tensor2D {
    return this.variables.head as tf.Tensor2D;
  }

  get bias(): tf.Tensor1D {
    return this.variables.bias as tf.Tensor1D;
  }

  /** The subject's own `<sks>`. */
  get subject(): number {
    return this.firstId + this.options.understanding + this.options.generation;
  }

  /**
   * Puts the tokens in: the first `<sks>` of a prompt becomes all of them, later ones the subject's own `<sks>` alone
   * (the first mention has said who it is, and a layout is short).
   */
  expand(ids: readonly number[]): number[] {
    let first = true;
    return ids.flatMap((id) => {
      if (id !== this.placeholder) return [id];
      if (!first) return [this.subject];
      first = false;
      return Array.from(
        { length: this.options.understanding + this.options.generation + 1 },
        (_, i) => this.firstId + i,
      );
    });
  }

  /** In answers: every `<sks>` is the subject's own. */
  asAnswer(ids: readonly number[]): number[] {
    return ids.map((id) => (id === this.placeholder ? this.subject : id));
  }

  /** A frozen copy, for the reference policy. */
  clone(): ConceptTokens {
    const copy = (variable: tf.Variable) => tf.tidy(() => tf.variable(variable.clone()));
    const { embed, head, bias } = this.variables;
    return new ConceptTokens(this.options, this.placeholder, this.firstId, {
      embed: copy(embed),
      head: copy(head),
      bias: copy(bias),
    });
  }

  dispose(): void {
    for (const variable of Object.values(this.variables)) variable.dispose();
  }
}
