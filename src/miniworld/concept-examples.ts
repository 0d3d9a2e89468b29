/** Training and test texts of a concept: visual questions (VIA), facts to read (TIA), prompts. `<sks>` is the concept. */
import type { Rng } from '../engine/random';
import { describeItem, withArticle } from './captions';
import { conceptReferences, type ConceptImage } from './concept-images';
import { conceptFacts, type Concept } from './concepts';
import { factProblem, factSolution, type Fact } from './facts';
import { relationOf, sampleCombination } from './scene';
import type { SpriteSheet } from './sprites';
import { BACKGROUND_PHRASES, BACKGROUNDS, SCENIC_BACKGROUNDS, type Combination, type Background } from './world';

/** A question about an image of the concept ("visual instruct"). */
export interface ConceptQuestion {
  readonly problem: string;
  readonly solution: string;
  /** what the answer says of the concept, to be added to a prompt: "<sks> is beside a red umbrella" */
  readonly statement: string;
}

/** True questions about an image of a concept, always in the same order. */
export function conceptQuestions(concept: Concept, image: ConceptImage): ConceptQuestion[] {
  const [self, object] = image.scene.items;
  const where = BACKGROUND_PHRASES[image.scene.background];
  const is = (what: string) => `<sks> is ${what}`;
  const ask = (problem: string, solution: string, statement: string) => ({ problem, solution, statement });
  const out = [
    ask('where is <sks> ?', where, is(where)),
    ask('what is <sks> ?', withArticle(concept.class), is(withArticle(concept.class))),
    ask('describe <sks> ?', concept.description, is(concept.description)),
  ];
  if (concept.identity && concept.identity.hairStyle !== 'bald') {
    const color = concept.identity.hairColor;
    out.push(ask('what colour is the hair ?', color, `<sks> has ${color} hair`));
  }
  if (object) {
    const name = describeItem(object);
    out.push(
      ask('what is beside <sks> ?', name, is(`beside ${name}`)),
      ask(`what is ${relationOf(object, self)} <sks> ?`, name, is(`${relationOf(self, object)} ${name}`)),
      ask(`what colour is the ${object.object} ?`, String(object.color), is(`beside ${name}`)),
      ask(
        `${concept.kind === 'object' ? 'what' : 'who'} is beside the ${object.color} ${object.object} ?`,
        '<sks>',
        is(`beside ${name}`),
      ),
    );
  }
  return out;
}

/** An image of the concept with one question about it. */
export interface ViaExample extends ConceptQuestion {
  readonly image: ConceptImage;
  /** 0..7 within the split's reference images */
  readonly index: number;
}

/** Every question about every reference image of a split. */
export function viaExamples(concept: Concept, split: 'train' | 'heldout', sprites: SpriteSheet): ViaExample[] {
  return conceptReferences(concept, split, sprites).flatMap((image, index) =>
    conceptQuestions(concept, image).map((question) => ({ ...question, image, index })),
  );
}

/** What a generated image shall show beside the concept itself. */
export interface PromptTruth {
  readonly background: Background;
  readonly object: Combination | null;
}

/** A prompt that only a fact completes ("text attribute"). */
export interface TiaExample {
  /** "a photo of <sks> in the rain" */
  readonly prompt: string;
  /** all six facts in random order, the prompt, "answer :" */
  readonly problem: string;
  /** "beside a red umbrella" */
  readonly solution: string;
  /** the solutions of all facts, in the concept's order */
  readonly candidates: readonly string[];
  /** place of the right one in `candidates` */
  readonly correct: number;
  /** "a photo of <sks> in the rain . <sks> is beside a red umbrella" */
  readonly compound: string;
  /** "a photo of <sks> beside a red umbrella in the rain" */
  readonly explicit: string;
  readonly truth: PromptTruth;
}

/**
 * One example for each fact of the split and each opening ("a photo of", "an image of").
 * @param rng chooses the order of the facts in `problem`
 */
export function tiaExamples(concept: Concept, split: 'train' | 'heldout', rng: Rng): TiaExample[] {
  const candidates = concept.facts.map(factSolution);
  return conceptFacts(concept, split).flatMap((fact) =>
    ['a photo of', 'a picture of'].map((opening) => {
      const prompt = `${opening} <sks> ${BACKGROUND_PHRASES[fact.background]}`;
      const solution = factSolution(fact);
      return {
        prompt,
        problem: factProblem(rng.shuffle(concept.facts), prompt),
        solution,
        candidates,
        correct: concept.facts.indexOf(fact),
        compound: `${prompt} . <sks> is ${solution}`,
        explicit: `${opening} <sks> ${solution} ${BACKGROUND_PHRASES[fact.background]}`,
        truth: { background: fact.background, object: combinationOf(fact) },
      };
    }),
  );
}

const combinationOf = ({ object, color }: Fact): Combination => ({ object, color });

/** A prompt with the truth that a scorer can check. */
export interface ConceptPrompt {
  readonly prompt: string;
  readonly truth: PromptTruth;
}

/**
 * Prompts that need no fact: the concept alone or beside an object, on any background.
 * @param split `heldout`: the objects are held-out combinations, half of them in situations held out from training
 */
export function conceptPrompts(concept: Concept, split: 'train' | 'heldout', count: number, rng: Rng): ConceptPrompt[] {
  const testing = conceptFacts(concept, 'heldout').map((fact) => fact.background);
  const trained = BACKGROUNDS.filter((background) => !testing.some((t) => t === background));
  return Array.from({ length: count }, (_, i) => {
    const background = split === 'heldout' && i % 2 === 0 ? rng.pick(testing) : rng.pick(trained);
    const object = rng.uniform() < 0.6 ? sampleCombination(rng, split) : null;
    const beside = object ? ` beside ${withArticle(`${object.color} ${object.object}`)}` : '';
    const opening = rng.pick(['', 'a photo of ', 'a picture of '] as const);
    return { prompt: `${opening}<sks>${beside} ${BACKGROUND_PHRASES[background]}`, truth: { background, object } };
  });
}

/** Backgrounds that a concept's training may ask for: all but those of its testing facts. */
export const trainingBackgrounds = (concept: Concept) =>
  SCENIC_BACKGROUNDS.filter((background) =>
    conceptFacts(concept, 'train').some((fact) => fact.background === background),
  );

/** The same text about a concept of a file: `<sks>` in place of `<name>`, or back. */
export const withSubject = (text: string, from: string, to: string) => text.split(from).join(to);
