/** Reading facts in context (text only): which of several facts about <sks> answers the question. */
import type { Stream } from '../engine/random';
import { withArticle } from './captions';
import { sampleCombination } from './scene';
import {
  ANIMALS,
  GROUND_PHRASES,
  isHeldOut,
  SCENIC_GROUNDS,
  THINGS,
  type Colour,
  type ObjectName,
  type ScenicGround,
  type Split,
} from './world';

/** "in the rain <sks> is beside a red umbrella". */
export interface Fact {
  readonly ground: ScenicGround;
  readonly colour: Colour;
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
  `${GROUND_PHRASES[fact.ground]} ${subject} is beside ${withArticle(`${fact.colour} ${fact.object}`)}`;

/** "facts : ... . ... ." */
export const factsText = (facts: readonly ToldFact[], subject = '<sks>') =>
  `facts : ${facts.map((fact) => `${factText(fact, subject)} .`).join(' ')}`;

/** What follows the facts: "question : a photo of <sks> in the rain answer :". */
const factQuestion = (prompt: string) => `question : ${prompt} answer :`;

/** The question of {@link factExample} for a prompt such as "a photo of <sks> in the rain". */
export const factProblem = (facts: readonly ToldFact[], prompt: string, subject = '<sks>') =>
  `${factsText(facts, subject)} ${factQuestion(prompt)}`;

/** "beside a red umbrella". */
export const factSolution = (fact: ToldFact) => `beside ${withArticle(`${fact.colour} ${fact.object}`)}`;

/**
 * Share of the learned facts that are about something no picture shows in a colour ("a green fox"): the words are to be
 * found in the text, not guessed from which things were seen in which colours.
 */
const UNUSUAL = 0.5;

const OPENINGS = ['a photo of', 'a picture of'] as const;

/** As many random facts, one for each of as many grounds. @param asked which one is a held-out combination in `heldout` */
function sampleFacts(stream: Stream, split: Split, count: number, asked: number): Fact[] {
  return stream
    .shuffle(SCENIC_GROUNDS)
    .slice(0, count)
    .map((ground, i) => ({
      ground,
      ...sampleCombination(stream, split === 'heldout' && i === asked ? 'heldout' : 'train'),
    }));
}

/** A list of one to six facts and, for each of them in random order, the question that it answers: to be learned from. */
export function factQuestions(
  stream: Stream,
  split: Split,
): { facts: string; questions: { problem: string; solution: string }[] } {
  const facts = sampleFacts(stream, split, 1 + stream.int(SCENIC_GROUNDS.length), 0).map((fact): ToldFact =>
    stream.uniform() < UNUSUAL && !isHeldOut(fact.object, fact.colour)
      ? { ...fact, object: stream.pick([...ANIMALS, ...THINGS]) }
      : fact,
  );
  return {
    facts: factsText(facts),
    questions: stream.shuffle(facts).map((fact) => ({
      problem: factQuestion(`${stream.pick(OPENINGS)} <sks> ${GROUND_PHRASES[fact.ground]}`),
      solution: factSolution(fact),
    })),
  };
}

/**
 * Three to six random facts, one for each of as many grounds, and a prompt that one of them answers.
 * @param split `train`: no held-out combination in the text; `heldout`: the fact asked for is one
 */
export function factExample(stream: Stream, split: Split): FactExample {
  const count = 3 + stream.int(4);
  const askedAt = stream.int(count);
  const facts = sampleFacts(stream, split, count, askedAt);
  const asked = facts[askedAt];
  const prompt = `${stream.pick(OPENINGS)} <sks> ${GROUND_PHRASES[asked.ground]}`;
  return { problem: factProblem(facts, prompt), solution: factSolution(asked), facts, asked };
}
