/** Concepts on the disk, in the folder layout of UnifyBench++: a writer for the mini world's, a reader for any. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../io/write-file';
import { Rng } from '../engine/random';
import { savePng } from '../io';
import { conceptQuestions, withSubject } from '../miniworld/concept-examples';
import { conceptReferences } from '../miniworld/concept-images';
import {
  ConceptFileError,
  parseConditions,
  parseConversations,
  parseInfo,
  parseTestData,
  readJson,
  type ConceptConditions,
  type ConceptConversations,
  type ConceptInfo,
  type ConceptTestItem,
} from './concept-schema';
import { CONCEPTS, conceptFactTexts, conceptFacts, type Concept } from '../miniworld/concepts';
import { factSolution } from '../miniworld/facts';
import { renderScene } from '../miniworld/render';
import { sampleCombination, sampleScene } from '../miniworld/scene';
import type { SpriteSheet } from '../miniworld/sprites';
import { GROUND_PHRASES, PICTURE_SIZE, SCENIC_GROUNDS } from '../miniworld/world';

const BLACK = 'black_512x512.png';
const NEGATIVES = 20;

const saveJson = async (file: string, value: unknown) => {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(value, null, 1)}\n`);
};

/**
 * Writes concepts as UnifyBench++ has them: `concepts_list.json`, `random_images/`, `concept/train/<name>/`
 * (images, info.json, conversations.json, train_images.json), `concept/test/<name>/` (images,
 * t2i_conditions.json), `test_data/<name>.json`. In texts the concept is `<name>`.
 * @param folder made when missing; files there are overwritten, each at once
 * @param concepts default: all twenty
 * @param onProgress called after each concept
 */
export async function writeConcepts(
  folder: string,
  sprites: SpriteSheet,
  concepts: readonly Concept[] = CONCEPTS,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const rng = new Rng(780);
  await savePng(path.join(folder, BLACK), { width: 512, height: 512, rgb: new Uint8Array(512 * 512 * 3) });
  for (let i = 0; i < NEGATIVES; i++) {
    const scene = sampleScene(rng.split(i), 'train', i % 2 ? 'creature' : 'creature+object');
    await saveRgb(path.join(folder, 'random_images', `${i}.png`), renderScene(scene, sprites));
  }
  for (const [i, concept] of concepts.entries()) {
    await writeConcept(folder, concept, sprites, rng.split(concept.name));
    onProgress?.(i + 1, concepts.length);
  }
  await saveJson(path.join(folder, 'concepts_list.json'), concepts.map((concept) => concept.name)); // prettier-ignore
}

const saveRgb = (file: string, rgb: Uint8Array) => savePng(file, { width: PICTURE_SIZE, height: PICTURE_SIZE, rgb });

async function writeConcept(folder: string, concept: Concept, sprites: SpriteSheet, rng: Rng): Promise<void> {
  const { name } = concept;
  const self = `<${name}>`;
  const named = (text: string) => withSubject(text, '<sks>', self);
  const train = path.join(folder, 'concept', 'train', name);
  const test = path.join(folder, 'concept', 'test', name);

  const info: ConceptInfo = {
    class: concept.class,
    info: `${self} is ${concept.description} .`,
    extra_info: conceptFactTexts(concept, self),
    conversation_type: concept.kind,
    generation_type: concept.kind === 'object' ? 'object' : 'live_subject',
    num_testing_info: concept.testingFacts,
  };
  const conversations: Record<string, { query: string; answer: string }[]> = {};
  for (const [i, image] of conceptReferences(concept, 'train', sprites).entries()) {
    await saveRgb(path.join(train, `${i}.png`), image.pixels);
    conversations[`${i}.png`] = conceptQuestions(concept, image).map((q) => ({
      query: named(q.problem),
      answer: named(q.solution),
    }));
  }
  await saveJson(path.join(train, 'info.json'), info);
  await saveJson(path.join(train, 'conversations.json'), conversations);
  await saveJson(path.join(train, 'train_images.json'), Object.keys(conversations).map((file) => `concept/train/${name}/${file}`)); // prettier-ignore

  const item = (type: ConceptTestItem['type'], image: string, question: string, answer: string): ConceptTestItem => ({
    type,
    image,
    conversations: [
      { from: 'human', value: `<image>\n${named(question)}` },
      { from: 'gpt', value: named(answer) },
    ],
  });
  const items: ConceptTestItem[] = [];
  for (const [i, reference] of conceptReferences(concept, 'heldout', sprites).entries()) {
    await saveRgb(path.join(test, `${i}.png`), reference.pixels);
    const image = `concept/test/${name}/${i}.png`;
    items.push(item('rec', image, 'is <sks> in the picture ?', 'yes'));
    items.push(item('rec', `random_images/${rng.int(NEGATIVES)}.png`, 'is <sks> in the picture ?', 'no'));
    for (const q of conceptQuestions(concept, reference)) items.push(item('vqa', image, q.problem, q.solution));
  }
  items.push(item('text_only', BLACK, 'describe <sks> ?', concept.description));
  for (const fact of concept.facts) {
    items.push(item('text_only', BLACK, `what is <sks> beside ${GROUND_PHRASES[fact.ground]} ?`, factSolution(fact)));
  }
  await saveJson(path.join(folder, 'test_data', `${name}.json`), items);
  await saveJson(path.join(test, 't2i_conditions.json'), conditionsOf(concept, self, rng.split('dense')));
}

/** Prompts in the concept's order of facts, so that the last ones are those for testing. */
function conditionsOf(concept: Concept, self: string, rng: Rng): ConceptConditions {
  const where = (ground: (typeof SCENIC_GROUNDS)[number]) => GROUND_PHRASES[ground];
  const dense = SCENIC_GROUNDS.map((ground) => {
    const { color, object } = sampleCombination(rng, 'train');
    return `a photo of ${self} , beside a ${color} ${object} , ${where(ground)}`;
  });
  return {
    personalized_driven_generation: concept.facts.map((f) => `a photo of ${self} ${where(f.ground)}`),
    explicit_personalized_driven_generation: concept.facts.map(
      (f) => `a photo of ${self} ${factSolution(f)} ${where(f.ground)}`,
    ),
    dense_prompt_generation: dense,
    explicit_dense_prompt_generation: dense,
    personalized_dense_prompt_generation: conceptFacts(concept, 'heldout').map(
      (f) => `a photo of ${self} , ${where(f.ground)}`,
    ),
    explicit_personalized_dense_prompt_generation: conceptFacts(concept, 'heldout').map(
      (f) => `a photo of ${self} , ${factSolution(f)} , ${where(f.ground)}`,
    ),
  };
}

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
  const read = <T>(file: string, parse: (file: string, json: unknown) => T): T => parse(file, readJson(file));
  const testData = read(path.join(folder, 'test_data', `${name}.json`), parseTestData);
  for (const [i, item] of testData.entries()) {
    if (!existsSync(path.join(folder, item.image))) {
      throw new ConceptFileError(
        `${path.join(folder, 'test_data', `${name}.json`)}: field '[${i}].image': there is no ${item.image}`,
      );
    }
  }
  return {
    name,
    info: read(path.join(train, 'info.json'), parseInfo),
    conversations: read(path.join(train, 'conversations.json'), parseConversations),
    trainImages: trainImages(folder, train),
    testImages: images(test),
    testData,
    conditions: read(path.join(test, 't2i_conditions.json'), parseConditions),
  };
}

/** The images that train_images.json lists (from the root or from the concept's folder); without it, all in the folder. */
function trainImages(folder: string, train: string): string[] {
  const file = path.join(train, 'train_images.json');
  if (!existsSync(file)) return images(train);
  const json = readJson(file);
  if (!Array.isArray(json)) throw new ConceptFileError(`${file}: the file should be a list of image files`);
  return json.map((entry: unknown, i) => {
    const found = [folder, train]
      .map((base) => path.resolve(base, String(entry)))
      .find((candidate) => existsSync(candidate));
    if (!found) throw new ConceptFileError(`${file}: item ${i}: there is no image ${String(entry)}`);
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
