/** Reading facts in context (text only): which of several facts about <sks> answers the question. */
import type { Rng } from '../engine/random';
import { withArticle } from './captions';
import { sampleCombination } from './scene';
import {
  ANIMALS,
  BACKGROUND_PHRASES,
  isHeldOut,
  SCENIC_BACKGROUNDS,
  SUBJECT_OBJECTS,
  type Color,
  type ObjectName,
  type ScenicBackground,
  type Split,
} from './world';

/** "in the rain <sks> is beside a red umbrella". */
export interface Fact {
  readonly background: ScenicBackground;
  readonly color: Color;
  readonly object: ObjectName;
}

/** A text, its continuation, and the truth they were made from. */
export interface FactExample {
  readonly problem: string;
  readonly solution: string;
  /** in the order of the text */
  readonly facts: readonly Fact[];
  /** the one asked for */
  readonly asked: Fact;
}

/** A fact about whatever has a name: to be read, not drawn. */
type ToldFact = Omit<Fact, 'object'> & { readonly object: string };

/** The fact as a sentence without a full stop. */
export const factText = (fact: ToldFact, subject = '<sks>') =>
  `${BACKGROUND_PHRASES[fact.background]} ${subject} is beside ${withArticle(`${fact.color} ${fact.object}`)}`;

/** "facts : ... . ... ." */
export const factsText = (facts: readonly ToldFact[], subject = '<sks>') =>
  `facts : ${facts.map((fact) => `${factText(fact, subject)} .`).join(' ')}`;

/** What follows the facts: "question : a photo of <sks> in the rain answer :". */
const factQuestion = (prompt: string) => `question : ${prompt} answer :`;

/** The question of {@link factExample} for a prompt such as "a photo of <sks> in the rain". */
export const factProblem = (facts: readonly ToldFact[], prompt: string, subject = '<sks>') =>
  `${factsText(facts, subject)} ${factQuestion(prompt)}`;

/** "beside a red umbrella". */
export const factSolution = (fact: ToldFact) => `beside ${withArticle(`${fact.color} ${fact.object}`)}`;

/**
 * Share of the learned facts that are about something no image shows in a color ("a green fox"): the words are to be
 * found in the text, not guessed from which things were seen in which colors.
 */
const UNUSUAL = 0.5;

/** How a prompt begins that asks for a fact. */
export const OPENINGS = ['a photo of', 'a picture of'] as const;

/** As many random facts, one for each of as many backgrounds. @param asked which one is a held-out combination in `heldout` */
function sampleFacts(rng: Rng, split: Split, count: number, asked: number): Fact[] {
  return rng
    .shuffle(SCENIC_BACKGROUNDS)
    .slice(0, count)
    .map((background, i) => ({
      background,
      ...sampleCombination(rng, split === 'heldout' && i === asked ? 'heldout' : 'train'),
    }));
}

/** A list of one to six facts and, for each of them in random order, the question that it answers: to be learned from. */
export function factQuestions(
  rng: Rng,
  split: Split,
): { facts: string; questions: { problem: string; solution: string }[] } {
  const facts = sampleFacts(rng, split, 1 + rng.int(SCENIC_BACKGROUNDS.length), 0).map((fact): ToldFact =>
    rng.uniform() < UNUSUAL && !isHeldOut(fact.object, fact.color)
      ? { ...fact, object: rng.pick([...ANIMALS, ...SUBJECT_OBJECTS]) }
      : fact,
  );
  return {
    facts: factsText(facts),
    questions: rng.shuffle(facts).map((fact) => ({
      problem: factQuestion(`${rng.pick(OPENINGS)} <sks> ${BACKGROUND_PHRASES[fact.background]}`),
      solution: factSolution(fact),
    })),
  };
}

/**
 * Three to six random facts, one for each of as many backgrounds, and a prompt that one of them answers.
 * @param split `train`: no held-out combination in the text; `heldout`: the fact asked for is one
 */
export function factExample(rng: Rng, split: Split): FactExample {
  const count = 3 + rng.int(4);
  const askedAt = rng.int(count);
  const facts = sampleFacts(rng, split, count, askedAt);
  const asked = facts[askedAt];
  const prompt = `${rng.pick(OPENINGS)} <sks> ${BACKGROUND_PHRASES[asked.background]}`;
  return { problem: factProblem(facts, prompt), solution: factSolution(asked), facts, asked };
}
