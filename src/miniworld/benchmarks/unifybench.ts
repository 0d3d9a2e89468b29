/**
 * `mini-unifybench`: UnifyBench++'s columns for one subject, whose tokens the model has learned. Questions are those that
 * `writeConcepts` writes in UnifyBench++'s layout, about held-out views and facts. Images are read by the scene detector,
 * which judges each clause 0 or 1; in the reasoning columns the model first says which fact fits, and draws that too.
 */
import { type Evaluation, evaluationOf } from '../../data/task';
import type { Rng } from '../../engine';
import { denseScore, exactMatch, unifyRecognitionHit } from '../../eval';
import type { UnifiedModel } from '../../models/unified';
import { withArticle } from '../captions';
import { conceptPrompts, conceptQuestions, type PromptTruth } from '../concept-examples';
import { conceptReferences } from '../concept-images';
import { type Concept, conceptFacts, CONCEPTS } from '../concepts';
import { type Detections, SceneDetector } from '../detector';
import { backgroundProbability, identityProbability, presence } from '../detector/score';
import { factProblem, factSolution } from '../facts';
import { loadSprites, type SpriteSheet } from '../sprites';
import { BACKGROUND_PHRASES } from '../world';
import {
  type AskedPrompt,
  type BenchmarkOptions,
  distinct,
  type DrawnPrompt,
  evaluateAsked,
  evaluateDrawn,
  imageOf,
} from './benchmark';

export const UNIFY_UNDERSTANDING = ['rec', 'rea', 'dense_rea', 'vqa', 'qa'] as const;
export const UNIFY_GENERATION = ['pure_gen', 'dense_gen', 'rea_gen', 'dense_rea_gen'] as const;
/** What `benchmarkMetrics` takes. */
export const UNIFY_COLUMNS = { columns: [...UNIFY_UNDERSTANDING, ...UNIFY_GENERATION] };

/** Distinct prompts of a column of generation, unless another number is asked for. */
const PROMPTS = 24;

/** A fact that is asked for, in the order in which the facts were told. */
interface FactQuestion {
  readonly prompt: string;
  readonly problem: string;
  readonly solution: string;
  readonly truth: PromptTruth;
}

/**
 * All columns. @param model with the subject's tokens
 * @returns items that are told apart by their prompts; `rec` is over as many images of others as of the subject
 */
export async function evaluateUnifyBench(
  model: UnifiedModel,
  concept: Concept,
  rng: Rng,
  options: BenchmarkOptions = {},
): Promise<Evaluation> {
  const { n = PROMPTS } = options;
  const [sprites, detector] = [await loadSprites(), await SceneDetector.load()];
  try {
    const plain = factQuestions(concept, '', n, rng.split('rea'));
    const dense = factQuestions(concept, ' ,', n, rng.split('dense rea'));
    const asked = [
      ...recognition(concept, sprites),
      ...visual(concept, sprites),
      ...plain.map((one) => told('rea', one)),
      ...dense.map((one) => told('dense_rea', one)),
      { ...exact('qa', 'describe <sks> ?', concept.description), question: ['describe <sks> ?'] },
    ];
    const answered = evaluateAsked(model, asked, rng.split('answers'), options);
    const said = new Map(answered.items.map(({ prompt, text }) => [prompt, text ?? '']));
    const reasoned = (column: string, { prompt, problem, truth }: FactQuestion): DrawnPrompt => ({
      prompt: `${column}: ${problem}`,
      drawn: `${prompt} . <sks> is ${said.get(problem)}`,
      score: judged(column, concept, truth),
    });
    const drawn = [
      ...plainPrompts('pure_gen', concept, n, rng.split('pure')),
      ...plainPrompts('dense_gen', concept, n, rng.split('dense')),
      ...plain.map((one) => reasoned('rea_gen', one)),
      ...dense.map((one) => reasoned('dense_rea_gen', one)),
    ];
    const { items } = await evaluateDrawn(model, detector, drawn, rng.split('images'), options);
    return evaluationOf([...answered.items, ...items]);
  } finally {
    detector.dispose();
  }
}

/** Right when it is equal. @param prompt tells the question from every other */
const exact = (column: string, prompt: string, solution: string) => ({
  prompt,
  score: (answer: string) => ({ [column]: exactMatch(answer, solution) ? 1 : 0 }),
});

const told = (column: string, { problem, solution }: FactQuestion): AskedPrompt => ({
  ...exact(column, problem, solution),
  question: [problem],
});

/** Held-out views of the subject, and as many of others. */
function recognition(concept: Concept, sprites: SpriteSheet): AskedPrompt[] {
  const text = 'is <sks> in the picture ?';
  const others = CONCEPTS.filter(({ name }) => name !== concept.name);
  const views = conceptReferences(concept, 'heldout', sprites);
  const ask = (truth: 'Yes.' | 'No.', pixels: Uint8Array, who: string): AskedPrompt => ({
    prompt: `${text} ${who}`,
    question: [imageOf(pixels), text],
    score: (prediction) => ({ rec: unifyRecognitionHit({ truth, prediction }) ? 1 : 0 }),
  });
  return views.flatMap((view, i) => {
    const other = others[i % others.length];
    const strange = conceptReferences(other, 'heldout', sprites)[i];
    return [ask('Yes.', view.pixels, `${i}`), ask('No.', strange.pixels, `${other.name} ${i}`)];
  });
}

/** Every question about every held-out view. */
const visual = (concept: Concept, sprites: SpriteSheet): AskedPrompt[] =>
  conceptReferences(concept, 'heldout', sprites).flatMap((view, i) =>
    conceptQuestions(concept, view).map(({ problem, solution }) => ({
      ...exact('vqa', `${problem} ${i}`, solution),
      question: [imageOf(view.pixels), problem],
    })),
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
function plainPrompts(column: 'pure_gen' | 'dense_gen', concept: Concept, count: number, rng: Rng): DrawnPrompt[] {
  const make = (_kind: number, attempt: number): DrawnPrompt => {
    const [{ prompt, truth }] = conceptPrompts(concept, 'heldout', 1, rng.split(attempt));
    const { object, background } = truth;
    if (column === 'pure_gen' || !object) return { prompt, score: judged(column, concept, truth) };
    const thing = withArticle(`${object.color} ${object.object}`);
    const said = `a photo of <sks> , beside ${thing} , ${BACKGROUND_PHRASES[background]}`;
    return { prompt: said, score: judged(column, concept, truth) };
  };
  return distinct(`${column} of ${concept.name}`, count, 1, make, ({ prompt }) => prompt);
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
