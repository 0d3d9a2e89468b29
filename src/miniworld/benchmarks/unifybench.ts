/**
 * `mini-unifybench`: UnifyBench++'s columns for subjects whose tokens the model has learned. Questions are those that
 * `writeConcepts` writes in UnifyBench++'s layout, about held-out views and facts. Images are read by the scene detector,
 * which judges each clause 0 or 1; in the reasoning columns the model first says which fact fits, and draws that too.
 */
import type { BenchmarkItem } from '../../data/benchmark';
import type { Rng } from '../../engine';
import { denseScore, exactMatch, unifyRecognitionHit } from '../../eval';
import type { Image } from '../../io';
import { withArticle } from '../captions';
import { conceptPrompts, conceptQuestions, type PromptTruth } from '../concept-examples';
import { conceptReferences } from '../concept-images';
import { type Concept, conceptFacts, CONCEPTS } from '../concepts';
import type { Detections } from '../detector';
import { backgroundProbability, identityProbability, presence } from '../detector/score';
import { factProblem, factSolution } from '../facts';
import type { SpriteSheet } from '../sprites';
import { BACKGROUND_PHRASES } from '../world';
import { byTurns, distinct, imageOf, type MiniBenchmark, type MiniItem } from './benchmark';

const UNDERSTANDING = ['rec', 'rea', 'dense_rea', 'vqa', 'qa'] as const;
const GENERATION = ['pure_gen', 'dense_gen', 'rea_gen', 'dense_rea_gen'] as const;

/** A fact that is asked for, in the order in which the facts were told. */
interface FactQuestion {
  readonly prompt: string;
  readonly problem: string;
  readonly solution: string;
  readonly truth: PromptTruth;
}

export const miniUnifyBench: MiniBenchmark = {
  name: 'mini-unifybench',
  about:
    "UnifyBench++'s columns for subjects that the model has learned; answers by rule, images by the scene detector",
  columns: [...UNDERSTANDING, ...GENERATION],
  items: (count, rng, sprites) =>
    CONCEPTS.flatMap((concept) => unifyItems(concept, count, rng.split(concept.name), sprites)),
};

/**
 * All columns of a subject. `rec` is over as many images of others as of the subject.
 * @param count distinct prompts of each column of generation
 */
export function unifyItems(concept: Concept, count: number, rng: Rng, sprites: SpriteSheet): MiniItem[] {
  const reasoned = (columns: readonly [string, string], comma: string) =>
    factQuestions(concept, comma, count, rng.split(columns[0])).map((one) => factItem(concept, columns, one));
  const described = 'describe <sks> ?';
  const items = byTurns([
    recognition(concept, sprites),
    visual(concept, sprites),
    [textItem(concept, 'qa', described, [described], concept.description)],
    plainPrompts('pure_gen', concept, count, rng.split('pure')),
    plainPrompts('dense_gen', concept, count, rng.split('dense')),
    reasoned(['rea', 'rea_gen'], ''),
    reasoned(['dense_rea', 'dense_rea_gen'], ' ,'),
  ]);
  return items.map((item) => ({ ...item, cluster: concept.name, subject: concept.name }));
}

/** What a model is told of a subject that it has not learned. */
const inWords = ({ description }: Concept, text: string): string => text.split('<sks>').join(description);

const idOf = ({ name }: Concept, column: string, told: string): string => `${name} ${column}: ${told}`;

function textAsk(concept: Concept, question: readonly (string | Image)[]): BenchmarkItem['ask'] {
  const told = question.map((part) => (typeof part === 'string' ? inWords(concept, part) : part));
  return { kind: 'answer', parts: () => Promise.resolve(question), inWords: () => Promise.resolve(told) };
}

/** Right when it is equal. @param told tells the question from every other */
const textItem = (
  concept: Concept,
  column: string,
  told: string,
  question: readonly (string | Image)[],
  solution: string,
): MiniItem => ({
  id: idOf(concept, column, told),
  ask: textAsk(concept, question),
  hear: (answer) => ({ [column]: exactMatch(answer, solution) ? 1 : 0 }),
});

/** Which fact fits is said first, and drawn then: two columns. */
function factItem(
  concept: Concept,
  [said, drawn]: readonly [string, string],
  { prompt, problem, solution, truth }: FactQuestion,
): MiniItem {
  const complete = (asked: string, answer: string) =>
    `${asked} . ${asked.includes('<sks>') ? '<sks>' : concept.description} is ${answer}`;
  return {
    id: idOf(concept, said, problem),
    ask: {
      ...{ kind: 'image', prompt, inWords: inWords(concept, prompt) },
      reason: { question: problem, inWords: inWords(concept, problem), complete },
    },
    hear: (answer) => ({ [said]: exactMatch(answer, solution) ? 1 : 0 }),
    look: judged(drawn, concept, truth),
  };
}

/** Held-out views of the subject, and as many of others. */
function recognition(concept: Concept, sprites: SpriteSheet): MiniItem[] {
  const text = 'is <sks> in the picture ?';
  const others = CONCEPTS.filter(({ name }) => name !== concept.name);
  const views = conceptReferences(concept, 'heldout', sprites);
  const ask = (truth: 'Yes.' | 'No.', pixels: Uint8Array, who: string): MiniItem => ({
    id: idOf(concept, 'rec', who),
    ask: textAsk(concept, [imageOf(pixels), text]),
    hear: (prediction) => ({ rec: unifyRecognitionHit({ truth, prediction }) ? 1 : 0 }),
  });
  return views.flatMap((view, i) => {
    const other = others[i % others.length];
    const strange = conceptReferences(other, 'heldout', sprites)[i];
    return [ask('Yes.', view.pixels, `${i}`), ask('No.', strange.pixels, `${other.name} ${i}`)];
  });
}

/** Every question about every held-out view. */
const visual = (concept: Concept, sprites: SpriteSheet): MiniItem[] =>
  conceptReferences(concept, 'heldout', sprites).flatMap((view, i) =>
    conceptQuestions(concept, view).map(({ problem, solution }) =>
      textItem(concept, 'vqa', `${problem} ${i}`, [imageOf(view.pixels), problem], solution),
    ),
  );

/** Held-out facts behind as many orders of all facts. @param comma what stands between the subject and the place */
function factQuestions(concept: Concept, comma: string, count: number, rng: Rng): FactQuestion[] {
  const facts = conceptFacts(concept, 'heldout');
  const make = (kind: number, attempt: number): FactQuestion => {
    const fact = facts[kind];
    const prompt = `a photo of <sks>${comma} ${BACKGROUND_PHRASES[fact.background]}`;
    const { background, object, color } = fact;
    const problem = factProblem(rng.split(attempt).shuffle(concept.facts), prompt);
    return { prompt, problem, solution: factSolution(fact), truth: { background, object: { object, color } } };
  };
  return distinct(`facts of ${concept.name}`, count, facts.length, make, ({ problem }) => problem);
}

/** Held-out prompts that need no fact; dense ones name a thing, clause by clause. */
function plainPrompts(column: 'pure_gen' | 'dense_gen', concept: Concept, count: number, rng: Rng): MiniItem[] {
  const make = (_kind: number, attempt: number): MiniItem => {
    const [{ prompt, truth }] = conceptPrompts(concept, 'heldout', 1, rng.split(attempt));
    const { object, background } = truth;
    const dense = column === 'dense_gen' && object;
    const said = dense
      ? `a photo of <sks> , beside ${withArticle(`${object.color} ${object.object}`)} , ${BACKGROUND_PHRASES[background]}`
      : prompt;
    return {
      id: idOf(concept, column, said),
      ask: { kind: 'image', prompt: said, inWords: inWords(concept, said) },
      look: judged(column, concept, truth),
    };
  };
  return distinct(`${column} of ${concept.name}`, count, 1, make, ({ id }) => id);
}

/** Mean over what was asked for, each 0 or 1. */
const judged =
  (column: string, { name }: Concept, { object, background }: PromptTruth) =>
  (seen: Detections) => {
    const sure = [
      identityProbability(seen, name),
      backgroundProbability(seen, background),
      ...(object ? [presence(seen, object.object, object.color)] : []),
    ];
    return { [column]: denseScore(sure.map((value) => (value > 0.5 ? 1 : 0))) ?? 0 };
  };
