/** The mini world's concepts as files, in the folder layout of UnifyBench++. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { ConceptConditions, ConceptInfo, ConceptTestItem } from '../data/concept-schema';
import { Rng } from '../engine/random';
import { savePng } from '../io';
import { writeFileAtomic } from '../io/write-file';
import { conceptQuestions, withSubject } from './concept-examples';
import { conceptReferences } from './concept-images';
import { type Concept, CONCEPTS, conceptFacts, conceptFactTexts } from './concepts';
import { factSolution } from './facts';
import { renderScene } from './render';
import { sampleCombination, sampleScene } from './scene';
import type { SpriteSheet } from './sprites';
import { BACKGROUND_PHRASES, IMAGE_SIZE, SCENIC_BACKGROUNDS } from './world';

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
    const scene = sampleScene(rng.split(i), 'train', i % 2 ? 'subject' : 'subject+object');
    await saveRgb(path.join(folder, 'random_images', `${i}.png`), renderScene(scene, sprites));
  }
  for (const [i, concept] of concepts.entries()) {
    await writeConcept(folder, concept, sprites, rng.split(concept.name));
    onProgress?.(i + 1, concepts.length);
  }
  const names = concepts.map((concept) => concept.name);
  await saveJson(path.join(folder, 'concepts_list.json'), names);
}

const saveRgb = (file: string, rgb: Uint8Array) => savePng(file, { width: IMAGE_SIZE, height: IMAGE_SIZE, rgb });

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
  const images = Object.keys(conversations).map((file) => `concept/train/${name}/${file}`);
  await saveJson(path.join(train, 'train_images.json'), images);

  const item = (type: ConceptTestItem['type'], image: string, question: string, answer: string): ConceptTestItem => ({
    type,
    image,
    conversations: [
      { from: 'human', value: `<image>\n${named(question)}` },
      { from: 'gpt', value: named(answer) },
    ],
  });
  const items: ConceptTestItem[] = [];
  // An image is asked about once: the set's readers take a question that comes again for a mistake.
  const strangers = rng.split('negatives').shuffle([...Array(NEGATIVES).keys()]);
  for (const [i, reference] of conceptReferences(concept, 'heldout', sprites).entries()) {
    await saveRgb(path.join(test, `${i}.png`), reference.pixels);
    const image = `concept/test/${name}/${i}.png`;
    items.push(item('rec', image, 'is <sks> in the picture ?', 'Yes.'));
    items.push(item('rec', `random_images/${strangers[i]}.png`, 'is <sks> in the picture ?', 'No.'));
    for (const q of conceptQuestions(concept, reference)) items.push(item('vqa', image, q.problem, q.solution));
  }
  items.push(item('text_only', BLACK, 'describe <sks> ?', concept.description));
  for (const fact of concept.facts) {
    items.push(
      item('text_only', BLACK, `what is <sks> beside ${BACKGROUND_PHRASES[fact.background]} ?`, factSolution(fact)),
    );
  }
  await saveJson(path.join(folder, 'test_data', `${name}.json`), items);
  await saveJson(path.join(test, 't2i_conditions.json'), conditionsOf(concept, self, rng.split('dense')));
}

/** Prompts in the concept's order of facts, so that the last ones are those for testing. */
function conditionsOf(concept: Concept, self: string, rng: Rng): ConceptConditions {
  const where = (background: (typeof SCENIC_BACKGROUNDS)[number]) => BACKGROUND_PHRASES[background];
  const dense = SCENIC_BACKGROUNDS.map((background) => {
    const { color, object } = sampleCombination(rng, 'train');
    return `a photo of ${self} , beside a ${color} ${object} , ${where(background)}`;
  });
  return {
    personalized_driven_generation: concept.facts.map((f) => `a photo of ${self} ${where(f.background)}`),
    explicit_personalized_driven_generation: concept.facts.map(
      (f) => `a photo of ${self} ${factSolution(f)} ${where(f.background)}`,
    ),
    dense_prompt_generation: dense,
    explicit_dense_prompt_generation: dense,
    personalized_dense_prompt_generation: conceptFacts(concept, 'heldout').map(
      (f) => `a photo of ${self} , ${where(f.background)}`,
    ),
    explicit_personalized_dense_prompt_generation: conceptFacts(concept, 'heldout').map(
      (f) => `a photo of ${self} , ${factSolution(f)} , ${where(f.background)}`,
    ),
  };
}
