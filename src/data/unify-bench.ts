/**
 * UnifyBench (UniCTokens, arXiv 2505.14671) and UnifyBench++, which adds facts: a folder a concept, its test questions, its
 * prompts. Here item by item, for evaluation; `concept-folder` reads one concept to be learned.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import { listConcepts } from './concept-files';
import {
  ConceptFileError,
  conceptInfo,
  conceptPrompts,
  CONDITION_KEYS,
  type ConditionKey,
  conceptTestItem,
} from './concept-schema';
import { imageFile } from './item-images';
import { DataSetError, inTurn, orError, type RawRecord, readItems, type Reading } from './items';
import { readJsonArray, readJsonFields } from './text-files';

export interface UnifyQuestion {
  /** `bo, question 3` */
  readonly id: string;
  readonly concept: string;
  readonly kind: 'rec' | 'vqa' | 'text_only';
  /** Absolute path; none for `text_only`. */
  readonly image?: string;
  readonly question: string;
  readonly answer: string;
}

export interface UnifyPrompt {
  readonly id: string;
  readonly concept: string;
  readonly kind: ConditionKey;
  readonly prompt: string;
}

/** What a concept is: its class and facts, of which the last `num_testing_info` are for testing. */
export interface UnifyConcept {
  readonly id: string;
  readonly class: string;
  readonly info: string;
  readonly facts: readonly string[];
  readonly testingFacts: number;
  /** Absolute paths of the photographs to learn from. */
  readonly images: readonly string[];
}

/** Test questions of all concepts, `test_data/NAME.json`; images are paths from the root. */
export function readUnifyQuestions(folder: string): Reading<UnifyQuestion> {
  return ofConcepts(folder, (concept) =>
    readItems(orError(readJsonArray(path.join(folder, 'test_data', `${concept}.json`))), {
      schema: conceptTestItem,
      make: async ({ type, image, conversations: [asked, answered] }, { where }) => ({
        id: `${concept}, ${where.replace('item', 'question')}`,
        concept,
        kind: type,
        ...(type === 'text_only' ? {} : { image: await imageFile(folder, image) }),
        question: asked.value.replace(/^\s*<image>\s*|\s*<image>\s*$/g, ''),
        answer: answered.value,
      }),
      id: ({ id, image, question: text }) => `${image ?? ''} ${text} ${image === undefined ? id : ''}`,
    }),
  );
}

/** Prompts of all concepts, `concept/test/NAME/t2i_conditions.json`. UnifyBench lacks some kinds. */
export function readUnifyPrompts(folder: string): Reading<UnifyPrompt> {
  const schema = z.partialRecord(z.enum(CONDITION_KEYS), conceptPrompts);
  return ofConcepts(folder, async function* (concept) {
    const file = path.join(folder, 'concept', 'test', concept, 't2i_conditions.json');
    const lists = readItems(orError(readJsonFields(file)), { schema, make: (found) => found });
    for await (const read of lists) {
      if ('error' in read) yield read;
      else
        for (const [kind, prompts] of Object.entries(read.item) as [ConditionKey, string[]][])
          for (const [i, prompt] of prompts.entries())
            yield { item: { id: `${concept}, ${kind} ${i + 1}`, concept, kind, prompt } };
    }
  });
}

const conceptFolder = z.intersection(conceptInfo, z.object({ train_images: z.array(z.string()).min(1) }));

/** Concepts with their photographs, `concept/train/NAME/{info.json, train_images.json}`. */
export function readUnifyConcepts(folder: string): Reading<UnifyConcept> {
  return ofConcepts(folder, (concept) => {
    const train = path.join(folder, 'concept', 'train', concept);
    return readItems(oneConcept(train), {
      schema: conceptFolder,
      make: async (found): Promise<UnifyConcept> => {
        const base = (name: string) => (existsSync(path.join(folder, name)) ? folder : train);
        return {
          id: concept,
          class: found.class,
          info: found.info,
          facts: found.extra_info,
          testingFacts: found.num_testing_info,
          images: await Promise.all(found.train_images.map((name) => imageFile(base(name), name, 'train_images'))),
        };
      },
    });
  });
}

/** `info.json` with the list of images beside it, as one record. */
async function* oneConcept(train: string): AsyncGenerator<RawRecord> {
  const file = path.join(train, 'info.json');
  const value: Record<string, unknown> = { train_images: [] };
  for await (const field of orError(readJsonFields(file))) {
    if ('problem' in field) {
      yield field;
      return;
    }
    Object.assign(value, field.value);
  }
  const names: unknown[] = [];
  for await (const name of orError(readJsonArray(path.join(train, 'train_images.json')))) {
    if ('problem' in name) {
      yield name;
      return;
    }
    names.push(name.value);
  }
  yield { file, where: 'the file', value: { ...value, train_images: names } };
}

/** @throws DataSetError when the folder holds no concepts */
function ofConcepts<T>(folder: string, read: (concept: string) => Reading<T>): Reading<T> {
  let concepts: string[];
  try {
    concepts = listConcepts(folder);
  } catch (error) {
    throw error instanceof ConceptFileError ? new DataSetError(error.message) : error;
  }
  return inTurn(concepts.map(read));
}
