/**
 * Concept tokens (UniCTokens-R1, Sec. 3.1): `<sks>` stands for one subject by a few learned vectors, K for
 * understanding (`<token_s>`) and M for generation (`<token_g>`). They are rows appended to the vocabulary; in a
 * prompt `<sks>` becomes `<token_s>.. <token_g>.. <sks>`.
 */
import { type Rng, tf } from '../../engine';
import type { TextTokenizer } from '../../text/tokenizer';
import type { ConceptRows, ConceptTokenOptions } from '../unified';
import type { ExtraTokens, ShowoNetwork } from './network';

/** Where the rows stand among a model's variables. */
export const CONCEPT_ROWS: Required<ConceptRows> = {
  embed: 'showo.model.embed_tokens.extra.weight',
  output: 'showo.lm_head.extra.weight',
  bias: 'showo.lm_head.extra.bias',
};

type ConceptVariables = Readonly<Record<keyof typeof CONCEPT_ROWS, tf.Variable>>;

/** A token that nobody asked for must not win over the vocabulary's: it starts far down. */
const FIRST_BIAS = -5;

export class ConceptTokens implements ExtraTokens {
  private constructor(
    readonly placeholder: string,
    /** Id of the first of the rows. */
    private readonly firstId: number,
    private readonly rows: ConceptVariables,
  ) {}

  /**
   * Fresh tokens around the class word: its input and output rows plus a little noise, so that training starts from
   * "a person" and not from nowhere.
   * @throws Error when the vocabulary lacks the initializer; RangeError for numbers of tokens that are none
   */
  static create(
    network: ShowoNetwork,
    tokenizer: TextTokenizer,
    { placeholder = '<sks>', initializer, understanding = 16, generation = 8 }: ConceptTokenOptions,
    rng: Rng,
  ): ConceptTokens {
    for (const [name, count] of Object.entries({ understanding, generation }))
      if (!Number.isInteger(count) || count < 0)
        throw new RangeError(`${name} is ${count}, expected a number of tokens`);
    const word = wordId(tokenizer, initializer);
    const count = understanding + generation + 1;
    const width = network.config.hidden_size;
    const near = (table: string, name: string) =>
      tf.tidy(() => {
        const row = tf.slice(network.parameters.get(table) as tf.Tensor2D, [word, 0], [1, width]);
        const noise = tf.mul(tf.tensor2d(rng.split(name).normal(count * width), [count, width]), 0.02);
        return tf.variable(tf.add(tf.tile(row, [count, 1]), noise));
      });
    return new ConceptTokens(placeholder, network.vocabulary.size, {
      embed: near('showo.model.embed_tokens.weight', 'embed'),
      output: near('showo.lm_head.weight', 'head'),
      bias: tf.tidy(() => tf.variable(tf.fill([count], FIRST_BIAS))),
    });
  }

  get embed(): tf.Tensor2D {
    return this.rows.embed as tf.Tensor2D;
  }

  get head(): tf.Tensor2D {
    return this.rows.output as tf.Tensor2D;
  }

  get bias(): tf.Tensor1D {
    return this.rows.bias as tf.Tensor1D;
  }

  get sayable(): number {
    return this.count - 1;
  }

  /** The subject's own `<sks>`. */
  get subject(): number {
    return this.firstId + this.sayable;
  }

  /** What learns, by its name in the model. */
  get variables(): Readonly<Record<string, tf.Variable>> {
    const { embed, output, bias } = CONCEPT_ROWS;
    return { [embed]: this.rows.embed, [output]: this.rows.output, [bias]: this.rows.bias };
  }

  /**
   * A prompt's ids: its first `<sks>` becomes all of the tokens, later ones the subject's own `<sks>` alone (the first
   * mention has said who it is, and a layout is short).
   */
  encodePrompt(text: string, encode: (words: string) => number[]): number[] {
    const all = Array.from({ length: this.count }, (_, i) => this.firstId + i);
    const [before, ...after] = text.split(this.placeholder);
    return [encode(before), ...after.flatMap((words, i) => [i === 0 ? all : [this.subject], encode(words)])].flat();
  }

  /** An answer's ids: every `<sks>` is the subject's own. */
  encodeAnswer(text: string, encode: (words: string) => number[]): number[] {
    const [before, ...after] = text.split(this.placeholder);
    return [encode(before), ...after.flatMap((words) => [[this.subject], encode(words)])].flat();
  }

  /** Text of ids; the subject's own `<sks>` reads as it is written. */
  decode(ids: readonly number[], decode: (ids: readonly number[]) => string): string {
    const parts: string[] = [];
    let from = 0;
    for (let at = ids.indexOf(this.subject); at >= 0; at = ids.indexOf(this.subject, from)) {
      parts.push(decode(ids.slice(from, at)).trim(), this.placeholder);
      from = at + 1;
    }
    parts.push(decode(ids.slice(from)).trim());
    return parts.filter((part) => part !== '').join(' ');
  }

  /** A copy with numbers of its own. */
  clone(): ConceptTokens {
    const copy = (variable: tf.Variable) => tf.tidy(() => tf.variable(variable.clone()));
    const { embed, output, bias } = this.rows;
    return new ConceptTokens(this.placeholder, this.firstId, {
      embed: copy(embed),
      output: copy(output),
      bias: copy(bias),
    });
  }

  dispose(): void {
    for (const variable of Object.values(this.rows)) variable.dispose();
  }

  private get count(): number {
    return this.rows.embed.shape[0];
  }
}

/** The token of a word, written alone or behind a space. @throws Error when it is not one token */
function wordId(tokenizer: TextTokenizer, word: string): number {
  const id = tokenizer.idOf(word) ?? tokenizer.idOf(`Ġ${word}`);
  if (id === undefined) throw new Error(`the vocabulary of ${tokenizer.vocabularySize} tokens has no '${word}'`);
  return id;
}
