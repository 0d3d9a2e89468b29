/** A subject's tokens beside a checkpoint's files: the rows, and in the metadata the words that they are. */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { openSafetensors, type WritableTensor, writeSafetensors } from '../io';
import { checkShapes } from '../nn/checkpoint-fit';

/** What is known of a subject's words besides their numbers. */
export interface ConceptWords {
  readonly placeholder: string;
  /** K */
  readonly understanding: number;
  /** M */
  readonly generation: number;
}

/** K + M and the subject's own word. */
export const rowCount = ({ understanding, generation }: ConceptWords): number => understanding + generation + 1;

const FILE = 'concept_tokens.safetensors';

/**
 * Saves a subject's tokens, in float32; without any, a file of another subject is removed.
 * @param folder made when missing
 */
export async function writeConceptRows(
  folder: string,
  concept: { readonly words: ConceptWords; readonly tensors: Readonly<Record<string, WritableTensor>> } | undefined,
): Promise<void> {
  const file = path.join(folder, FILE);
  if (!concept) return rm(file, { force: true });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(file, concept.tensors, { metadata: { words: JSON.stringify(concept.words) } });
}

/**
 * A subject's tokens, where the folder has some.
 * @param shapes of the rows, by name
 * @throws Error naming the file when it does not fit the model
 */
export async function readConceptRows(
  folder: string,
  shapes: (words: ConceptWords) => Readonly<Record<string, readonly number[]>>,
): Promise<{ readonly words: ConceptWords; readonly values: Readonly<Record<string, Float32Array>> } | undefined> {
  const file = path.join(folder, FILE);
  if (!existsSync(file)) return undefined;
  const reader = await openSafetensors(file);
  try {
    const words = JSON.parse(reader.metadata.words ?? 'null') as ConceptWords | null;
    if (!words) throw new Error(`${file} does not say which words its rows are`);
    const expected = Object.entries(shapes(words)).map(([name, shape]) => [name, { shape }] as const);
    const found = reader.names.map((name) => [name, reader.info(name)] as const);
    checkShapes(Object.fromEntries(expected), found, file);
    const values: Record<string, Float32Array> = {};
    for (const [name] of expected) values[name] = await reader.readFloat32(name);
    return { words, values };
  } finally {
    await reader.close();
  }
}
