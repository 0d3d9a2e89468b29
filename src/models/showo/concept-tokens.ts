/**
 * Concept tokens (UniCTokens-R1, Sec. 3.1): `<sks>` stands for one subject by a few learned vectors, K for
 * understanding (`<token_s>`) and M for generation (`<token_g>`). They are rows appended to the vocabulary; in a
 * prompt `<sks>` becomes `<token_s>.. <token_g>.. <sks>`.
 */
import { readValues, type Rng, tf } from '../../engine';
import { withExtraTokens } from '../../nn/extra-tokens';
import type { Parameter } from '../../nn/module';
import { ParamStore } from '../../nn/store';
import type { TextTokenizer } from '../../text/tokenizer';
import { type ConceptWords, readConceptRows, rowCount, writeConceptRows } from '../concept-files';
import type { ConceptRows, ConceptTokenOptions } from '../unified';
import { showoVocabulary } from './config';
import type { ShowoLayers } from './layers';

/** Where the rows stand among a model's variables. */
export const CONCEPT_ROWS: Required<ConceptRows> = {
  embed: 'showo.model.embed_tokens.extra.weight',
  output: 'showo.lm_head.extra.weight',
  bias: 'showo.lm_head.extra.bias',
};

/** A token that nobody asked for must not win over the vocabulary's: it starts far down. */
const FIRST_BIAS = -5;

export class ConceptTokens {
  private constructor(
    readonly words: ConceptWords,
    /** Id of the first of the rows. */
    private readonly firstId: number,
    /** Input rows and output rows `[count, hidden]`, and the outputs' biases `[count]`; disposed with this. */
    readonly rows: ParamStore,
  ) {}

  /** @param values by the names of {@link CONCEPT_ROWS} */
  static of(layers: ShowoLayers, words: ConceptWords, values: Readonly<Record<string, Float32Array>>): ConceptTokens {
    const rows = ParamStore.added(extend(layers, rowCount(words)), (name) => values[name]);
    return new ConceptTokens(words, showoVocabulary(layers.config).size, rows);
  }

  /**
   * Fresh tokens around the class word: its input and output rows plus a little noise, so that training starts from
   * "a person" and not from nowhere.
   * @param layers with their numbers
   * @throws Error when the vocabulary lacks the initializer; RangeError for numbers of tokens that are none
   */
  static create(
    layers: ShowoLayers,
    tokenizer: TextTokenizer,
    { placeholder = '<sks>', initializer, understanding = 16, generation = 8 }: ConceptTokenOptions,
    rng: Rng,
  ): ConceptTokens {
    for (const [name, count] of Object.entries({ understanding, generation }))
      if (!Number.isInteger(count) || count < 0)
        throw new RangeError(`${name} is ${count}, expected a number of tokens`);
    const word = wordId(tokenizer, initializer);
    const words = { placeholder, understanding, generation };
    const count = rowCount(words);
    const width = layers.config.hidden_size;
    const near = ({ weight }: { readonly weight: Parameter<tf.Tensor2D> }, name: string) =>
      readValues(() => {
        const row = tf.slice(weight.value, [word, 0], [1, width]);
        const noise = tf.mul(tf.tensor2d(rng.split(name).normal(count * width), [count, width]), 0.02);
        return tf.add(tf.tile(row, [count, 1]), noise);
      });
    const first = {
      [CONCEPT_ROWS.embed]: near(layers.showo.model.embed_tokens, 'embed'),
      [CONCEPT_ROWS.output]: near(layers.showo.lm_head, 'head'),
      [CONCEPT_ROWS.bias]: new Float32Array(count).fill(FIRST_BIAS),
    };
    return ConceptTokens.of(layers, words, first);
  }

  /** The layers with these rows in their places. */
  attach(layers: ShowoLayers): ShowoLayers {
    return extend(layers, this.count).with(this.rows);
  }

  /** The subject's own `<sks>`, the last of the rows and the one that text may say. */
  get subject(): number {
    return this.firstId + this.count - 1;
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
    return new ConceptTokens(this.words, this.firstId, this.rows.clone());
  }

  dispose(): void {
    this.rows.dispose();
  }

  private get placeholder(): string {
    return this.words.placeholder;
  }

  private get count(): number {
    return rowCount(this.words);
  }
}

/** Saves a subject's tokens beside the model, or none. */
export const saveConcept = (folder: string, concept: ConceptTokens | undefined): Promise<void> =>
  writeConceptRows(folder, concept && { words: concept.words, tensors: concept.rows.writable() });

/** @param layers with their numbers @throws Error naming the file when it does not fit the model */
export async function loadConcept(folder: string, layers: ShowoLayers): Promise<ConceptTokens | undefined> {
  const read = await readConceptRows(folder, (words) => {
    const shape = [rowCount(words), layers.config.hidden_size];
    return { [CONCEPT_ROWS.embed]: shape, [CONCEPT_ROWS.output]: shape, [CONCEPT_ROWS.bias]: [rowCount(words)] };
  });
  return read && ConceptTokens.of(layers, read.words, read.values);
}

function extend(layers: ShowoLayers, count: number): ShowoLayers {
  const { lm_head: head, model } = layers.showo;
  return withExtraTokens(layers, { embeddings: model.embed_tokens, head }, count);
}

/** The token of a word, written alone or behind a space. @throws Error when it is not one token */
function wordId(tokenizer: TextTokenizer, word: string): number {
  const id = tokenizer.idOf(word) ?? tokenizer.idOf(`Ġ${word}`);
  if (id === undefined) throw new Error(`the vocabulary of ${tokenizer.vocabularySize} tokens has no '${word}'`);
  return id;
}
