/**
 * Concept tokens (UniCTokens-R1, Sec. 3.1): `<sks>` stands for one subject by learned rows behind the vocabulary, K for
 * understanding (`<token_s>`), M for generation (`<token_g>`), and one for the word itself. In a prompt `<sks>` becomes
 * `<token_s>.. <token_g>.. <sks>` (001, Appendix D); an answer may say the last of them.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { readValues, type Rng, tf } from '../../engine';
import { openSafetensors, writeSafetensors } from '../../io';
import { checkShapes } from '../../nn/checkpoint-fit';
import { withExtraTokens } from '../../nn/extra-tokens';
import type { Parameter } from '../../nn/module';
import { ParamStore } from '../../nn/store';
import type { TextCodec } from '../../text/asked';
import type { ConceptRows, ConceptTokenOptions } from '../unified';
import type { ChameleonLayers } from './layers';

/** What is known of the words; plain numbers, saved beside the rows. */
export interface ConceptWords {
  readonly placeholder: string;
  /** K */
  readonly understanding: number;
  /** M */
  readonly generation: number;
}

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

const rowCount = ({ understanding, generation }: ConceptWords) => understanding + generation + 1;

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

/** A file beside the model: its rows, and in the metadata its words. */
const FILE = 'concept_tokens.safetensors';

/** Saves a subject's tokens beside the model; without any, a file of another subject is removed. */
export async function saveConcept(folder: string, concept: ConceptTokens | undefined): Promise<void> {
  const file = path.join(folder, FILE);
  if (!concept) return rm(file, { force: true });
  const metadata = { words: JSON.stringify(concept.words) };
  await writeSafetensors(file, concept.rows.writable(), { metadata });
}

/** @throws Error naming the file when it does not fit the model */
export async function loadConcept(folder: string, layers: ChameleonLayers): Promise<ConceptTokens | undefined> {
  const file = path.join(folder, FILE);
  if (!existsSync(file)) return undefined;
  const reader = await openSafetensors(file);
  try {
    const words = JSON.parse(reader.metadata.words ?? 'null') as ConceptWords | null;
    if (!words) throw new Error(`${file} does not say which words its rows are`);
    const shape = [rowCount(words), layers.config.hidden_size];
    checkShapes(
      { [EMBED]: { shape }, [OUTPUT]: { shape } },
      reader.names.map((name) => [name, reader.info(name)]),
      file,
    );
    const [embed, output] = [await reader.readFloat32(EMBED), await reader.readFloat32(OUTPUT)];
    return ConceptTokens.of(layers, words, { embed, output });
  } finally {
    await reader.close();
  }
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
