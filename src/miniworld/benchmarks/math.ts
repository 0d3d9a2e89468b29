/**
 * `mini-math`: counting and adding what an image shows. Counting asks for things of one name among others; adding asks
 * for two kinds together. Every image holds a combination of object and color that training never showed.
 */
import type { Rng } from '../../engine';
import { answerAccuracy } from '../../rewards';
import { plural } from '../captions';
import type { Question } from '../questions';
import { renderScene } from '../render';
import { quarter, sampleCombination, type Scene, type SceneItem, SIZES } from '../scene';
import type { SpriteSheet } from '../sprites';
import {
  BACKGROUNDS,
  type Combination,
  HELD_OUT_COMBINATIONS,
  NUMBER_WORDS,
  type Split,
  TRAIN_COMBINATIONS,
} from '../world';
import { askedAbout, byTurns, distinct, imageOf, type MiniBenchmark, type MiniItem } from './benchmark';

export const MATH_TAGS = ['counting', 'adding'] as const;
export type MathTag = (typeof MATH_TAGS)[number];

/** A scene in quarters with a question about numbers. */
export interface MathProblem {
  readonly scene: Scene;
  readonly question: Question;
}

/** How many of the one and of the other: no number of things says what is asked. */
const COUNTS = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
  [3, 1],
  [1, 3],
] as const;

/** @param combination what is asked about. Default: one of the split at random */
export function mathProblem(tag: MathTag, rng: Rng, split: Split, combination?: Combination): MathProblem {
  const first = combination ?? sampleCombination(rng, split);
  const second = rng.pick(TRAIN_COMBINATIONS.filter(({ object }) => object !== first.object));
  const adds = tag === 'adding';
  const [many, others] = rng.pick(COUNTS);
  const slots = rng.shuffle([0, 1, 2, 3]);
  const items = slots
    .slice(0, many + others)
    .map((slot, i): SceneItem => {
      const [x, y] = quarter(slot);
      return { ...(i < many ? first : second), category: 'object', x, y, size: SIZES.count };
    })
    .sort((a, b) => a.y - b.y || a.x - b.x);
  const scene: Scene = { kind: 'count', background: rng.pick(BACKGROUNDS), items };
  const [one, other] = rng.shuffle([first, second]);
  const problem = adds
    ? `how many ${plural(one.object)} and ${plural(other.object)} are there ?`
    : `how many ${first.color} ${plural(first.object)} are there ?`;
  return { scene, question: { type: 'how_many', problem, solution: NUMBER_WORDS[adds ? many + others : many] } };
}

/** What tells an image from others: its background and who stands where. */
export const sceneKey = ({ background, items }: Scene) =>
  `${background}: ${items.map(({ color, object, x, y, style }) => `${color ?? style} ${object} ${x},${y}`).join('; ')}`;

/** Distinct problems of a tag, every held-out combination equally often. */
export function mathProblems(tag: MathTag, count: number, rng: Rng): MathProblem[] {
  return distinct(
    `mini-math ${tag}`,
    count,
    HELD_OUT_COMBINATIONS.length,
    (kind, attempt) => mathProblem(tag, rng.split(tag).split(attempt), 'heldout', HELD_OUT_COMBINATIONS[kind]),
    ({ scene, question }) => `${question.problem} ${sceneKey(scene)}`,
  );
}

/** A problem as it is asked; an answer in `<answer>` tags or plain is right when it equals the solution (CoRL's R_oe). */
const askedProblem = (
  tag: MathTag,
  { scene, question: { problem, solution } }: MathProblem,
  sprites: SpriteSheet,
): MiniItem => ({
  id: `${problem} ${sceneKey(scene)}`,
  ask: askedAbout(imageOf(renderScene(scene, sprites)), problem),
  hear: (answer) => ({ [tag]: answerAccuracy(answer, { solution, problem }).value }),
});

export const miniMath: MiniBenchmark = {
  name: 'mini-math',
  about: 'counting and adding in images; an answer is right when it is equal; overall: the plain mean over both',
  columns: MATH_TAGS,
  overall: MATH_TAGS,
  items: (count, rng, sprites) =>
    byTurns(MATH_TAGS.map((tag) => mathProblems(tag, count, rng).map((one) => askedProblem(tag, one, sprites)))),
};
