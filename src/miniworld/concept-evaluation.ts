/**
 * What a model that has learned a concept is asked on held-out prompts. Half of them leave open what is beside the
 * subject: the model reads facts that it is told for the first time, says which one fits, and draws that (UnifyBench++'s
 * Rea. Gen.). The others say all that is to be drawn. Every image is read by a detector that no reward uses.
 */
import { attributeQuestion, compoundPrompt } from '../data/personalization';
import { type EvaluatedItem, type Evaluation, evaluationOf, type EvaluationOptions } from '../data/task';
import type { Rng } from '../engine';
import { tensorToImages } from '../io';
import { decodedPixels } from '../models/decoded-pixels';
import type { SampleRequest, TextSegment, UnifiedModel } from '../models/unified';
import { conceptPrompts, type PromptTruth } from './concept-examples';
import type { Concept } from './concepts';
import { type Detections, scoreConcept, type SceneDetector, type SubjectSimilarity } from './detector';
import { factSolution, factText, OPENINGS } from './facts';
import { tellAround } from './told-facts';
import { BACKGROUND_PHRASES, HELD_OUT_COMBINATIONS, SCENIC_BACKGROUNDS } from './world';

/** Held-out items of an evaluation, half of either kind, each another prompt. */
const HELD_OUT_PROMPTS = 96;

/** Above it the detector says that something is there. */
const SURE = 0.5;

export interface HeldOutItem {
  readonly prompt: string;
  /** What is asked before the image; a plain prompt needs no answer. */
  readonly question?: string;
  readonly solution?: string;
  /** What is resampled: the fact that is asked for, in its wording; default: the prompt. */
  readonly cluster?: string;
  readonly truth: PromptTruth;
}

/**
 * Metrics of {@link evaluateConcept}. `joint_success` is 1 when subject, thing and background are all right; `rea_gen` is the same of
 * the prompts that ask for a fact, and `reasoning` whether the right fact was said; `subject_similarity` is a cosine, the
 * others are the detector's probabilities.
 */
export const CONCEPT_METRICS = [
  'joint_success',
  'rea_gen',
  'reasoning',
  'subject_similarity',
  'shown',
  'identity',
  'object',
  'background',
] as const;
export type ConceptMetric = (typeof CONCEPT_METRICS)[number];

/** Who looks at the images. */
export interface ConceptReaders {
  readonly detector: SceneDetector;
  readonly similarity: SubjectSimilarity;
}

/** Reasons where a fact is asked for, draws, and has every image read. */
export async function evaluateConcept(
  model: UnifiedModel,
  concept: Concept,
  readers: ConceptReaders,
  rng: Rng,
  options: EvaluationOptions = {},
): Promise<Evaluation> {
  const { count = HELD_OUT_PROMPTS, batchSize = 48 } = options;
  const held = heldOutItems(concept, count, rng.split('prompts'));
  const items: EvaluatedItem[] = [];
  for (let from = 0; from < held.length; from += batchSize) {
    const part = held.slice(from, from + batchSize);
    const rngs = part.map((_, i) => rng.split('item').split(from + i));
    items.push(...(await evaluateBatch(model, concept, readers, part, rngs, options)));
  }
  return evaluationOf(items);
}

async function evaluateBatch(
  model: UnifiedModel,
  concept: Concept,
  { detector, similarity }: ConceptReaders,
  part: readonly HeldOutItem[],
  rngs: readonly Rng[],
  { text, image }: EvaluationOptions,
): Promise<EvaluatedItem[]> {
  const answers = answersTo(model, part, rngs, text);
  const requests = part.map(({ prompt }, i): SampleRequest => {
    const answer = answers.get(i);
    const complete = answer === undefined ? prompt : compoundPrompt(prompt, answer.text, 'spaced');
    return { prompt: model.prompt([complete], 'generate'), rng: rngs[i].split('image') };
  });
  const segments = model.imageSampler(requests, image).finish();
  const codes = segments.map((segment) => segment.codes);
  const pixels = decodedPixels(model.imageTokenizer, codes, segments[0].grid);
  try {
    const detections = detector.detect(pixels);
    const alike = similarity.score(pixels);
    const images = await tensorToImages(pixels);
    return part.map((item, i) => {
      const text = answers.get(i)?.text;
      const scores = { subject_similarity: alike[i], ...scoresOf(concept, item, detections[i], text) };
      const { prompt, question = prompt, cluster = prompt } = item;
      return { prompt: question, cluster, text, image: images[i], scores };
    });
  } finally {
    pixels.dispose();
  }
}

/** @param text what the model said, if it was asked */
function scoresOf(
  { name }: Concept,
  { solution, truth }: HeldOutItem,
  detections: Detections,
  text: string | undefined,
): Record<string, number> {
  const { mean, object, identity, background } = scoreConcept(detections, name, truth);
  const all = [identity, background, ...(object === null ? [] : [object])];
  const joint = all.every((value) => value > SURE) ? 1 : 0;
  return {
    joint_success: joint,
    ...(text === undefined ? {} : { rea_gen: joint, reasoning: text === solution ? 1 : 0 }),
    shown: mean,
    identity,
    ...(object === null ? {} : { object }),
    background,
  };
}

/** The answers of those items that ask for one, by place. */
function answersTo(
  model: UnifiedModel,
  part: readonly HeldOutItem[],
  rngs: readonly Rng[],
  text: EvaluationOptions['text'],
): Map<number, TextSegment> {
  const asking = part.flatMap(({ question }, i) => (question === undefined ? [] : [{ i, question }]));
  if (asking.length === 0) return new Map();
  const requests = asking.map(({ i, question }) => ({
    prompt: model.prompt([question], 'understand'),
    rng: rngs[i].split('answer'),
  }));
  return new Map(model.sampleText(requests, text).map((answer, k) => [asking[k].i, answer]));
}

/** `count` items, no two of them the same prompt: as many that ask for a fact as plain ones, in turns. */
export function heldOutItems(concept: Concept, count: number, rng: Rng): HeldOutItem[] {
  const asking = factItems(Math.floor(count / 2), rng.split('facts'));
  const plain = plainItems(concept, count - asking.length, rng.split('plain'));
  return plain.flatMap((item, i) => (i < asking.length ? [item, asking[i]] : [item]));
}

/** Held-out facts, each in one of two wordings: things in colors that training never showed or told of. */
function factItems(count: number, rng: Rng): HeldOutItem[] {
  const wordings = SCENIC_BACKGROUNDS.flatMap((background) =>
    HELD_OUT_COMBINATIONS.flatMap((combination) =>
      OPENINGS.map((opening) => ({ opening, fact: { background, ...combination } })),
    ),
  );
  if (count > wordings.length)
    throw new RangeError(
      `there are ${wordings.length} distinct held-out facts in their wordings, ${count} were asked for`,
    );
  return rng
    .split('order')
    .shuffle(wordings)
    .slice(0, count)
    .map(({ opening, fact }, i) => {
      const prompt = `${opening} <sks> ${BACKGROUND_PHRASES[fact.background]}`;
      const told = tellAround(fact, rng.split('told').split(i)).map((one) => factText(one));
      const { background, object, color } = fact;
      return {
        prompt,
        question: attributeQuestion(told, prompt, 'spaced'),
        solution: factSolution(fact),
        cluster: `${prompt} ${factSolution(fact)}`,
        truth: { background, object: { object, color } },
      };
    });
}

/** Prompts that need no fact, with things in colors that training never showed. */
function plainItems(concept: Concept, count: number, rng: Rng): HeldOutItem[] {
  const items = new Map<string, HeldOutItem>();
  for (let round = 0; items.size < count; round++) {
    if (round === 20)
      throw new RangeError(
        `concept ${concept.name} has ${items.size} distinct held-out prompts, ${count} were asked for`,
      );
    for (const item of conceptPrompts(concept, 'heldout', count, rng.split(round)))
      if (!items.has(item.prompt)) items.set(item.prompt, item);
  }
  return [...items.values()].slice(0, count);
}
