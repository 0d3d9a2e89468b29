/**
 * Concept tokens (UniCTokens-R1, Sec. 3.1): `<sks>` stands for one subject by learned rows behind the vocabulary, K for
 * understanding (`<token_s>`), M for generation (`<token_g>`), and one for the word itself. In a prompt `<sks>` becomes
 * `<token_s>.. <token_g>.. <sks>` (001, Appendix D); an answer may say the last of them.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { type Rng, tf } from '../../engine';
import { fromTensor, openSafetensors, writeSafetensors } from '../../io';
import type { TextCodec } from '../../text/asked';
import type { ConceptTokenOptions } from '../unified';

/** What is known of the words; plain numbers, saved beside the rows. */
export interface ConceptWords {
  readonly placeholder: string;
  /** K */
  readonly understanding: number;
  /** M */
  readonly generation: number;
}

/** How far the first rows lie from the initializer's. */
const NOISE = 0.02;

export class ConceptTokens {
  /**
   * @param firstId the size of the vocabulary that they stand behind
   * @param embed `[K + M + 1, hidden]`; disposed with this, as is `output`
   * @param output rows of the output layer, of the same shape
   */
  constructor(
    readonly words: ConceptWords,
    private readonly firstId: number,
    readonly embed: tf.Variable<tf.Rank.R2>,
    readonly output: tf.Variable<tf.Rank.R2>,
  ) {}

  /**
   * Fresh rows around the initializer's, so that training starts from "a dog" and not from nowhere.
   * @param tables of the vocabulary, `[vocab, hidden]`
   * @throws Error when the initializer is not one word of the vocabulary; RangeError for counts that are no counts
   */
  static create(
    tables: { readonly embed: tf.Tensor2D; readonly output: tf.Tensor2D },
    text: TextCodec,
    { placeholder = '<sks>', initializer, understanding = 16, generation = 8 }: ConceptTokenOptions,
    rng: Rng,
  ): ConceptTokens {
    for (const [name, count] of Object.entries({ understanding, generation }))
      if (!Number.isInteger(count) || count < 0)
        throw new RangeError(`${name} is ${count}, expected a number of tokens, 0 or above`);
    if (placeholder.trim() === '') throw new RangeError('the placeholder is empty');
    const row = text.encode(initializer);
    if (row.length !== 1)
      throw new Error(`the initializer '${initializer}' is ${row.length} tokens of this vocabulary; one was expected`);
    const count = understanding + generation + 1;
    const around = (name: 'embed' | 'output') =>
      tf.tidy(() => {
        const start = tf.gather(tables[name], tf.tensor1d(new Int32Array(count).fill(row[0]), 'int32'));
        const noise = tf.tensor2d(rng.split(name).normal(start.size), start.shape);
        return tf.variable(tf.add<tf.Tensor2D>(start, tf.mul(noise, NOISE)));
      });
    const words = { placeholder, understanding, generation };
    return new ConceptTokens(words, tables.embed.shape[0], around('embed'), around('output'));
  }

  /** Number of rows. */
  get count(): number {
    return this.words.understanding + this.words.generation + 1;
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
    const copy = (rows: tf.Variable<tf.Rank.R2>) => tf.tidy(() => tf.variable(tf.clone(rows)));
    return new ConceptTokens(this.words, this.firstId, copy(this.embed), copy(this.output));
  }

  dispose(): void {
    tf.dispose([this.embed, this.output]);
  }
}

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
  const { words, embed, output } = concept;
  const tensors = { embed: fromTensor(embed), output: fromTensor(output) };
  await writeSafetensors(file, tensors, { metadata: { words: JSON.stringify(words) } });
}

/** @throws Error naming the file when it does not fit the model */
export async function loadConcept(folder: string, vocabulary: number): Promise<ConceptTokens | undefined> {
  const file = path.join(folder, FILE);
  if (!existsSync(file)) return undefined;
  const reader = await openSafetensors(file);
  try {
    const words = JSON.parse(reader.metadata.words ?? 'null') as ConceptWords | null;
    const count = (words?.understanding ?? NaN) + (words?.generation ?? NaN) + 1;
    const shapes = ['embed', 'output'].map((name) => reader.info(name).shape);
    if (!words || shapes.some((shape) => shape.length !== 2 || shape[0] !== count))
      throw new Error(`${file} holds rows [${shapes.join('], [')}], ${count} were expected in each`);
    const [embed, output] = [await reader.readFloat32('embed'), await reader.readFloat32('output')];
    const rows = (values: Float32Array) =>
      tf.tidy(() => tf.variable(tf.tensor2d(values, [count, values.length / count])));
    return new ConceptTokens(words, vocabulary, rows(embed), rows(output));
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
