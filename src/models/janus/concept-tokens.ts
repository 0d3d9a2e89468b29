/**
 * Concept tokens (UniCTokens, Sec. 3.1): `<sks>` stands for one subject by learned vectors, K for understanding and M for
 * generation. In a prompt the first `<sks>` becomes `<token_s>.. <token_g>.. <sks>`, later ones `<sks>` alone, which the
 * first has introduced.
 */
import { type Rng, tf } from '../../engine';
import { fromTensor } from '../../io';
import type { LlamaConfig } from '../../nn/llama-config';
import { type ConceptWords, readConceptRows, rowCount, writeConceptRows } from '../concept-files';
import type { ConceptRows, ConceptTokenOptions } from '../unified';

/** Names of the new rows among the variables. */
export const CONCEPT_ROWS: ConceptRows = {
  embed: 'model.language_model.embed_tokens.extra.weight',
  output: 'lm_head.extra.weight',
};

/** Added to the logit of `<sks>`: a word that nobody asked for must not win over the vocabulary's. */
const OUTPUT_BIAS = -5;
/** Spread of the new rows around the one that they start from. */
const NOISE = 0.02;

/** The tokens' rows, beside the vocabulary's. `<sks>` has the first id behind it, the others follow. */
export class ConceptTokens {
  private constructor(
    readonly words: ConceptWords,
    /** Id of `<sks>`: the vocabulary's size. */
    readonly subject: number,
    /** `[1 + K + M, hidden]`, `<sks>` first. */
    readonly embed: tf.Variable<tf.Rank.R2>,
    /** `[1, hidden]`: the row of `<sks>`; the others are never said. */
    readonly output: tf.Variable<tf.Rank.R2>,
  ) {}

  /**
   * Fresh tokens around a known word: its rows plus a little noise, so that learning starts from "a dog" and not from
   * nowhere.
   * @param embed the word's row of the embedding, `[1, hidden]`
   * @param output its row of the output layer, `[1, hidden]`
   * @throws RangeError for numbers of tokens that are no counts
   */
  static create(
    { placeholder = '<sks>', understanding = 16, generation = 8 }: ConceptTokenOptions,
    vocabulary: number,
    embed: tf.Tensor2D,
    output: tf.Tensor2D,
    rng: Rng,
  ): ConceptTokens {
    for (const [name, count] of Object.entries({ understanding, generation }))
      if (!(Number.isInteger(count) && count >= 0))
        throw new RangeError(`${name} is ${count}, expected a number of tokens`);
    if (placeholder.trim() === '') throw new RangeError('the placeholder is empty, expected a word such as <sks>');
    const around = (row: tf.Tensor2D, count: number, name: string) =>
      tf.tidy(() => {
        const noise = tf.tensor2d(rng.split(name).normal(count * row.shape[1]), [count, row.shape[1]]);
        return tf.variable(tf.add<tf.Tensor2D>(row, tf.mul(noise, NOISE)));
      });
    const words = { placeholder, understanding, generation };
    return new ConceptTokens(words, vocabulary, around(embed, rowCount(words), 'embed'), around(output, 1, 'output'));
  }

  /** What a folder has of a subject. @throws Error naming the file when it does not fit the model */
  static async load(folder: string, { vocab_size, hidden_size }: LlamaConfig): Promise<ConceptTokens | undefined> {
    const shapes = (words: ConceptWords): [number, number][] => [
      [rowCount(words), hidden_size],
      [1, hidden_size],
    ];
    const { embed, output } = CONCEPT_ROWS;
    const read = await readConceptRows(folder, (words) => {
      const [rows, own] = shapes(words);
      return { [embed]: rows, [output]: own };
    });
    if (!read) return undefined;
    const { words, values } = read;
    const [rows, own] = shapes(words);
    const variable = (name: string, shape: [number, number]) =>
      tf.tidy(() => tf.variable(tf.tensor2d(values[name], shape)));
    return new ConceptTokens(words, vocab_size, variable(embed, rows), variable(output, own));
  }

  /** Saves a subject's tokens beside the model, or none. */
  static async save(folder: string, concept: ConceptTokens | undefined): Promise<void> {
    const { embed, output } = CONCEPT_ROWS;
    const tensors = concept && { [embed]: fromTensor(concept.embed), [output]: fromTensor(concept.output) };
    await writeConceptRows(folder, tensors && { words: concept.words, tensors });
  }

  /** What prompts are written with. */
  get placeholder(): string {
    return this.words.placeholder;
  }

  /** Ids of the new tokens. */
  get count(): number {
    return this.embed.shape[0];
  }

  /** What a prompt's first `<sks>` becomes. */
  get expansion(): number[] {
    const others = Array.from({ length: this.count - 1 }, (_, i) => this.subject + 1 + i);
    return [...others, this.subject];
  }

  /** Logits of the vocabulary, and behind them that of `<sks>`. @param hidden `[rows, hidden]` */
  withSubject(logits: tf.Tensor2D, hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => {
      const own = tf.add<tf.Tensor2D>(tf.matMul(hidden, this.output, false, true), OUTPUT_BIAS);
      return tf.concat([logits, own], 1);
    });
  }

  /** A copy that learns apart, for a frozen model. */
  clone(): ConceptTokens {
    const copy = (variable: tf.Variable<tf.Rank.R2>) => tf.tidy(() => tf.variable(tf.clone<tf.Tensor2D>(variable)));
    return new ConceptTokens(this.words, this.subject, copy(this.embed), copy(this.output));
  }

  dispose(): void {
    tf.dispose([this.embed, this.output]);
  }
}
