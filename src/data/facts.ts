/** Reading facts in context (text only): which of several facts about <sks> answers the question. */
import type { Stream } from '../engine/random';
import { withArticle } from './captions';
import { sampleCombination } from './scene';
import { GROUND_PHRASES, SCENIC_GROUNDS, type Colour, type ObjectName, type ScenicGround, type Split } from './world';

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

/** The fact as a sentence without a full stop. */
export const factText = (fact: Fact, subject = '<sks>') =>
  `${GROUND_PHRASES[fact.ground]} ${subject} is beside ${withArticle(`${fact.colour} ${fact.object}`)}`;

/** "facts : ... . ... ." */
export const factsText = (facts: readonly Fact[], subject = '<sks>') =>
  `facts : ${facts.map((fact) => `${factText(fact, subject)} .`).join(' ')}`;

/** The question of {@link factExample} for a prompt such as "a photo of <sks> in the rain". */
export const factProblem = (facts: readonly Fact[], prompt: string, subject = '<sks>') =>
  `${factsText(facts, subject)} question : ${prompt} answer :`;

/** "beside a red umbrella". */
export const factSolution = (fact: Fact) => `beside ${withArticle(`${fact.colour} ${fact.object}`)}`;

/**
 * Three to six random facts, one for each of as many grounds, and a prompt that one of them answers.
 * @param split `train`: no held-out combination in the text; `heldout`: the fact asked for is one
 */
export function factExample(stream: Stream, split: Split): FactExample {
  const grounds = stream.shuffle(SCENIC_GROUNDS).slice(0, 3 + stream.int(4));
  const askedAt = stream.int(grounds.length);
  const facts = grounds.map((ground, i): Fact => ({
    ground,
    ...sampleCombination(stream, split === 'heldout' && i === askedAt ? 'heldout' : 'train'),
  }));
  const asked = facts[askedAt];
  const prompt = `${stream.pick(['a photo of', 'a picture of'] as const)} <sks> ${GROUND_PHRASES[asked.ground]}`;
  return { problem: factProblem(facts, prompt), solution: factSolution(asked), facts, asked };
}
