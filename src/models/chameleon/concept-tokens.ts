/**
 * Concept tokens (UniCTokens-R1, Sec. 3.1): `<sks>` stands for one subject by learned rows behind the vocabulary, K for
 * understanding (`<token_s>`), M for generation (`<token_g>`), and one for the word itself. In a prompt `<sks>` becomes
 * `<token_s>.. <token_g>.. <sks>` (001, Appendix D); an answer may say the last of them.
 */
import { readValues, type Rng, tf } from '../../engine';
import { withExtraTokens } from '../../nn/extra-tokens';
import type { Parameter } from '../../nn/module';
import { ParamStore } from '../../nn/store';
import type { TextCodec } from '../../text/asked';
import { type ConceptWords, readConceptRows, rowCount, writeConceptRows } from '../concept-files';
import type { ConceptRows, ConceptTokenOptions } from '../unified';
import type { ChameleonLayers } from './layers';

/** Added to the rows' logits: a word that nobody asked for must not win over the initializer, whose row it starts from. */
export const CONCEPT_BIAS = -5;

/** How far the first rows lie from the initializer's. */
const NOISE = 0.02;

const EMBED = 'model.embed_tokens.extra.weight';
const OUTPUT = 'lm_head.extra.weight';
/** Names of the rows among a model's variables. */
export const CONCEPT_ROWS: ConceptRows = { embed: EMBED, output: OUTPUT };

type Table = 'embed' | 'output';

export class ConceptTokens {
  private constructor(
    readonly words: ConceptWords,
    /** The size of the vocabulary that they stand behind. */
    private readonly firstId: number,
    /** `[K + M + 1, hidden]` each, under {@link CONCEPT_ROWS}' names; disposed with this. */
    readonly rows: ParamStore,
  ) {}

  /** @param values rows of the embedding and of the output layer, `[K + M + 1, hidden]` each */
  static of(
    layers: ChameleonLayers,
    words: ConceptWords,
    values: Readonly<Record<Table, Float32Array>>,
  ): ConceptTokens {
    const extended = extend(layers, words);
    const rows = ParamStore.added(extended, (name) => (name === EMBED ? values.embed : values.output));
    return new ConceptTokens(words, layers.config.vocab_size, rows);
  }

  /**
   * Fresh rows around the initializer's, so that training starts from "a dog" and not from nowhere.
   * @throws Error when the initializer is not one word of the vocabulary; RangeError for counts that are no counts
   */
  static create(
    layers: ChameleonLayers,
    text: TextCodec,
    { placeholder = '<sks>', initializer, understanding = 16, generation = 8 }: ConceptTokenOptions,
    rng: Rng,
  ): ConceptTokens {
    for (const [name, count] of Object.entries({ understanding, generation }))
      if (!Number.isInteger(count) || count < 0)
        throw new RangeError(`${name} is ${count}, expected a number of tokens, 0 or above`);
    if (placeholder.trim() === '') throw new RangeError('the placeholder is empty');
    const word = text.encode(initializer);
    if (word.length !== 1)
      throw new Error(`the initializer '${initializer}' is ${word.length} tokens of this vocabulary; one was expected`);
    const words = { placeholder, understanding, generation };
    const around = (name: Table, { weight }: { readonly weight: Parameter<tf.Tensor2D> }) => {
      const row = readValues(() => tf.slice(weight.value, [word[0], 0], [1, -1]));
      const noise = rng.split(name).normal(rowCount(words) * row.length);
      return noise.map((value, i) => row[i % row.length] + NOISE * value);
    };
    const { model, lm_head } = layers;
    return ConceptTokens.of(layers, words, {
      embed: around('embed', model.embed_tokens),
      output: around('output', lm_head),
    });
  }

  /** The layers with these rows in their places. */
  attach(layers: ChameleonLayers): ChameleonLayers {
    return extend(layers, this.words).with(this.rows);
  }

  /** Number of rows. */
  get count(): number {
    return rowCount(this.words);
  }

  /** The id of the subject's own word. */
  get subject(): number {
    return this.firstId + this.count - 1;
  }

  /** Ids that only prompts have: all but the subject's own word. */
  get silent(): number[] {
    return Array.from({ length: this.count - 1 }, (_, i) => this.firstId + i);
  }

  clone(): ConceptTokens {
    return new ConceptTokens(this.words, this.firstId, this.rows.clone());
  }

  dispose(): void {
    this.rows.dispose();
  }
}

const extend = (layers: ChameleonLayers, words: ConceptWords) =>
  withExtraTokens(layers, { embeddings: layers.model.embed_tokens, head: layers.lm_head }, rowCount(words));

/**
 * Texts of one prompt, in order, as ids. The first `<sks>` becomes all of the subject's tokens, later ones its own word
 * alone: the first mention has said who it is.
 */
export function promptEncoder(text: TextCodec, concept: ConceptTokens | undefined): (part: string) => number[] {
  let first = true;
  return (part) =>
    encodeWith(text, concept, part, ({ silent, subject }) => {
      const tokens = first ? [...silent, subject] : [subject];
      first = false;
      return tokens;
    });
}

/** An answer as ids: every `<sks>` is the subject's own word. */
export function answerIds(text: TextCodec, concept: ConceptTokens | undefined, answer: string): number[] {
  return encodeWith(text, concept, answer, ({ subject }) => [subject]);
}

/** Ids of text as words; the subject's own id is its placeholder. */
export function wordsOf(text: TextCodec, concept: ConceptTokens | undefined, ids: readonly number[]): string {
  if (!concept) return text.decode(ids);
  const runs: number[][] = [[]];
  for (const id of ids) {
    if (id === concept.subject) runs.push([]);
    else runs[runs.length - 1].push(id);
  }
  const said = runs.map((run) => text.decode(run));
  return said.join(` ${concept.words.placeholder} `).trim();
}

/** Saves a subject's tokens beside the model, or none. */
export const saveConcept = (folder: string, concept: ConceptTokens | undefined): Promise<void> =>
  writeConceptRows(folder, concept && { words: concept.words, tensors: concept.rows.writable() });

/** @throws Error naming the file when it does not fit the model */
export async function loadConcept(folder: string, layers: ChameleonLayers): Promise<ConceptTokens | undefined> {
  const shape = (words: ConceptWords) => [rowCount(words), layers.config.hidden_size];
  const read = await readConceptRows(folder, (words) => ({ [EMBED]: shape(words), [OUTPUT]: shape(words) }));
  return read && ConceptTokens.of(layers, read.words, { embed: read.values[EMBED], output: read.values[OUTPUT] });
}

function encodeWith(
  text: TextCodec,
  concept: ConceptTokens | undefined,
  part: string,
  tokens: (concept: ConceptTokens) => number[],
): number[] {
  if (!concept) return text.encode(part);
  return part.split(concept.words.placeholder).flatMap((piece, i) => {
    const own = piece.trim() === '' ? [] : text.encode(piece);
    return i === 0 ? own : [...tokens(concept), ...own];
  });
}
