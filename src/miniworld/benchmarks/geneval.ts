/**
 * `mini-geneval`: GenEval's six tags (Ghosh et al. 2023) in the mini world, read by the scene detector. Every prompt
 * names one of the 12 combinations of object and color that training never showed; in this world every caption names a
 * color, so that of `single_object` and `two_object` the color is said but not asked for.
 */
import type { Rng } from '../../engine';
import { plural, withArticle } from '../captions';
import type { Detections } from '../detector';
import { relationOf, type SceneItem } from '../scene';
import {
  BACKGROUND_PHRASES,
  BACKGROUNDS,
  type Combination,
  HELD_OUT_COMBINATIONS,
  NUMBER_WORDS,
  TRAIN_COMBINATIONS,
} from '../world';
import { byTurns, distinct, type MiniBenchmark, type MiniItem } from './benchmark';

export const GENEVAL_TAGS = ['single_object', 'two_object', 'counting', 'colors', 'position', 'color_attr'] as const;
export type GenEvalTag = (typeof GENEVAL_TAGS)[number];

const RELATIONS = ['left of', 'right of', 'above', 'below'] as const;
const PLACES = ['on the left', 'on the right', 'at the top', 'at the bottom', 'in the centre'] as const;

/** A prompt, and what an image of it must show. */
export interface GenEvalPrompt {
  readonly tag: GenEvalTag;
  readonly prompt: string;
  /** The held-out combination. */
  readonly fact: Combination;
  readonly correct: (detections: Detections) => boolean;
}

const named = ({ color, object }: Combination) => withArticle(`${color} ${object}`);
const has = ({ items }: Detections, object: string, color?: string) =>
  items.some((item) => item.object === object && (color === undefined || item.color === color));

/** As many distinct prompts of a tag, every held-out combination equally often. */
export function genEvalPrompts(tag: GenEvalTag, count: number, rng: Rng): GenEvalPrompt[] {
  return distinct(
    `mini-geneval ${tag}`,
    count,
    HELD_OUT_COMBINATIONS.length,
    (kind, attempt) => genEvalPrompt(tag, HELD_OUT_COMBINATIONS[kind], rng.split(tag).split(attempt)),
    ({ prompt }) => prompt,
  );
}

function genEvalPrompt(tag: GenEvalTag, fact: Combination, rng: Rng): GenEvalPrompt {
  const where = BACKGROUND_PHRASES[rng.pick(BACKGROUNDS)];
  const { object, color } = fact;
  const other = rng.pick(TRAIN_COMBINATIONS.filter((one) => one.object !== object));
  const [first, second] = rng.shuffle([fact, other]);
  const prompt = (said: string) => `a photo of ${said} ${where}`;
  switch (tag) {
    case 'single_object':
      return { tag, fact, prompt: prompt(named(fact)), correct: (seen) => has(seen, object) };
    case 'colors': {
      const said = `${named(fact)} ${rng.pick(PLACES)}`;
      return { tag, fact, prompt: prompt(said), correct: (seen) => has(seen, object, color) };
    }
    case 'two_object':
      return {
        ...{ tag, fact, prompt: prompt(`${named(first)} and ${named(second)}`) },
        correct: (seen) => has(seen, object) && has(seen, other.object),
      };
    case 'color_attr':
      return {
        ...{ tag, fact, prompt: prompt(`${named(first)} beside ${named(second)}`) },
        correct: (seen) => has(seen, object, color) && has(seen, other.object, other.color),
      };
    case 'counting': {
      const count = 2 + rng.int(3);
      return {
        ...{ tag, fact, prompt: prompt(`${NUMBER_WORDS[count]} ${color} ${plural(object)}`) },
        correct: ({ items }) => items.filter((item) => item.object === object).length === count,
      };
    }
    case 'position': {
      const relation = rng.pick(RELATIONS);
      return {
        ...{ tag, fact, prompt: prompt(`${named(first)} ${relation} ${named(second)}`) },
        correct: (seen) => stands(seen, first.object, relation, second.object),
      };
    }
  }
}

/** Whether any two such figures stand so. */
function stands({ items }: Detections, first: string, relation: (typeof RELATIONS)[number], second: string): boolean {
  const place = ({ object, category, color, x, y }: Detections['items'][number]): SceneItem => ({
    ...{ object, category, color, x, y },
    size: 0,
  });
  const of = (object: string) => items.filter((item) => item.object === object).map(place);
  return of(first).some((a) => of(second).some((b) => relationOf(a, b) === relation));
}

export const miniGenEval: MiniBenchmark = {
  name: 'mini-geneval',
  about: "GenEval's six tags; images read by the scene detector; overall: the plain mean over tags",
  columns: GENEVAL_TAGS,
  overall: GENEVAL_TAGS,
  items: (count, rng) =>
    byTurns(GENEVAL_TAGS.map((tag) => genEvalPrompts(tag, count, rng))).map(({ tag, prompt, correct }): MiniItem => ({
      id: prompt,
      ask: { kind: 'image', prompt },
      look: (seen) => ({ [tag]: correct(seen) ? 1 : 0 }),
    })),
};
