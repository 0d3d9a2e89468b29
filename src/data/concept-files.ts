/** Concepts on the disk, in the folder layout of UnifyBench++. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import {
  conceptConditions,
  type ConceptConditions,
  conceptConversations,
  type ConceptConversations,
  ConceptFileError,
  conceptInfo,
  type ConceptInfo,
  conceptTestItem,
  type ConceptTestItem,
  readConceptFile,
} from './concept-schema';

/** A concept as its files describe it; texts say `<name>`, images are absolute paths. */
export interface ConceptFiles {
  readonly name: string;
  readonly info: ConceptInfo;
  readonly conversations: ConceptConversations;
  readonly trainImages: readonly string[];
  readonly testImages: readonly string[];
  readonly testData: readonly ConceptTestItem[];
  readonly conditions: ConceptConditions;
}

/** Names of the concepts in a folder. @throws ConceptFileError when it is no such folder */
export function listConcepts(folder: string): string[] {
  const train = path.join(folder, 'concept', 'train');
  if (!existsSync(train)) {
    throw new ConceptFileError(
      `${folder}: no concepts here; a folder with concept/train/<name>/ was expected (unilab data concepts --out writes one)`,
    );
  }
  return readdirSync(train, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/**
 * Reads and checks one concept.
 * @throws ConceptFileError naming the file and the field that is missing or wrong; for an unknown name, the known ones
 */
export function readConcept(folder: string, name: string): ConceptFiles {
  const known = listConcepts(folder);
  if (!known.includes(name)) {
    throw new ConceptFileError(`${folder}: there is no concept '${name}'; it has ${known.join(', ') || 'none'}`);
  }
  const train = path.join(folder, 'concept', 'train', name);
  const test = path.join(folder, 'concept', 'test', name);
  const testData = readConceptFile(path.join(folder, 'test_data', `${name}.json`), z.array(conceptTestItem));
  for (const [i, item] of testData.entries()) {
    if (!existsSync(path.join(folder, item.image))) {
      throw new ConceptFileError(
        `${path.join(folder, 'test_data', `${name}.json`)}: field '[${i}].image': there is no ${item.image}`,
      );
    }
  }
  return {
    name,
    info: readConceptFile(path.join(train, 'info.json'), conceptInfo),
    conversations: readConceptFile(path.join(train, 'conversations.json'), conceptConversations),
    trainImages: trainImages(folder, train),
    testImages: images(test),
    testData,
    conditions: readConceptFile(path.join(test, 't2i_conditions.json'), conceptConditions),
  };
}

/** The images that train_images.json lists (from the root or from the concept's folder); without it, all in the folder. */
function trainImages(folder: string, train: string): string[] {
  const file = path.join(train, 'train_images.json');
  if (!existsSync(file)) return images(train);
  return readConceptFile(file, z.array(z.string())).map((entry, i) => {
    const found = [folder, train].map((base) => path.resolve(base, entry)).find((candidate) => existsSync(candidate));
    if (!found) throw new ConceptFileError(`${file}: item ${i}: there is no image ${entry}`);
    return found;
  });
}

/** Images of a folder in the order of their numbers. @throws ConceptFileError when there is none */
function images(folder: string): string[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => /\.(png|jpe?g|webp)$/i.test(file)) : [];
  if (files.length === 0) throw new ConceptFileError(`${folder}: no images (.png, .jpg, .webp) here`);
  return files
    .sort((a, b) => parseInt(a, 10) - parseInt(b, 10) || a.localeCompare(b))
    .map((file) => path.resolve(folder, file));
}
