/** How well a reading agrees with a truth: right or wrong, and graded. Pure functions. */
import type { PromptTruth } from '../concept-examples';
import { findConcept } from '../concepts';
import { placementOf, relationOf, type Scene, type SceneItem } from '../scene';
import type { Color, Background } from '../world';
import type { DetectedItem, Detections } from './decode';
import { CATEGORIES, CELLS, COLORS, BACKGROUNDS, IDENTITIES, identityIndex } from './labels';

/** What is asked of an image; null where the scene (or its caption) says nothing about it. */
export interface SceneScore {
  /** Every kind of figure is there. */
  readonly object: boolean;
  /** Every colored object is there in its color; null without colored objects. */
  readonly color: boolean | null;
  /** Of every kind there are as many as there shall be. */
  readonly count: boolean;
  /** A lone figure stands at its place, two figures in their relation; null for three and more. */
  readonly position: boolean | null;
  readonly background: boolean;
  /** All of the above, and nothing else in the image. */
  readonly exact: boolean;
}

const sameKind = (a: { object: string }, b: { object: string }) => a.object === b.object;
const sameFigure = (a: Pick<DetectedItem, 'object' | 'color'>, b: Pick<SceneItem, 'object' | 'color'>) =>
  a.object === b.object && (b.color === null || a.color === b.color);

/** Compares a reading with the scene that the image shall show. */
export function scoreScene(detections: Detections, scene: Scene): SceneScore {
  const { items } = detections;
  const colored = scene.items.filter((item) => item.color !== null);
  const count = scene.items.every(
    (item) => items.filter((i) => sameKind(i, item)).length === scene.items.filter((i) => sameKind(i, item)).length,
  );
  const object = scene.items.every((item) => items.some((i) => sameKind(i, item)));
  const color = colored.length === 0 ? null : colored.every((item) => items.some((i) => sameFigure(i, item)));
  const position = positionRight(detections, scene);
  const background = detections.background === scene.background;
  const allColors = scene.items.every(
    (item) => items.filter((i) => sameFigure(i, item)).length === scene.items.filter((i) => sameFigure(i, item)).length,
  );
  const exact = count && allColors && background && position !== false && items.length === scene.items.length;
  return { object, color, count, position, background, exact };
}

/** Whether figures stand where they shall; false when one of them is missing, null when the scene names no place. */
export function positionRight(detections: Detections, scene: Scene): boolean | null {
  if (scene.kind === 'count' || scene.kind === 'subject' || scene.items.length > 2) return null;
  const found = scene.items.map(
    (item) => detections.items.find((i) => sameFigure(i, item)) ?? detections.items.find((i) => sameKind(i, item)),
  );
  const [first, second] = found;
  if (!first) return false;
  if (scene.items.length === 1) return placeOf(first) === placementOf(scene.items[0]);
  if (!second || second === first) return false;
  return relationOf(asItem(first), asItem(second)) === relationOf(scene.items[0], scene.items[1]);
}

/** Where a lone figure stands: in the center when it is less than 6 pixels off, else the side it is farther off to. */
export function placeOf(item: Pick<DetectedItem, 'x' | 'y'>): ReturnType<typeof placementOf> {
  const [dx, dy] = [item.x - 31, item.y - 31];
  if (Math.max(Math.abs(dx), Math.abs(dy)) < 6) return 'centre';
  if (Math.abs(dx) >= Math.abs(dy)) return dx < 0 ? 'left' : 'right';
  return dy < 0 ? 'top' : 'bottom';
}

const asItem = ({ object, category, color, x, y }: DetectedItem): SceneItem => ({
  object,
  category,
  color,
  x,
  y,
  size: 0,
});

/**
 * How surely the image shows such a figure, in [0, 1]: the largest p(object) p(color) of any cell.
 * @param color null: in any color
 */
export function presence(detections: Detections, object: SceneItem['object'], color: Color | null = null): number {
  const { probabilities: p } = detections;
  const category = CATEGORIES.indexOf(object);
  if (category < 0) throw new RangeError(`the detector knows no '${object}'; it knows ${CATEGORIES.join(', ')}`);
  let best = 0;
  for (let cell = 0; cell < CELLS; cell++) {
    const inColor = color === null ? 1 : p.color[cell * COLORS.length + COLORS.indexOf(color)];
    best = Math.max(best, p.category[cell * (CATEGORIES.length + 1) + category] * inColor);
  }
  return best;
}

/** How surely the image has this background, in [0, 1]. */
export function backgroundProbability(detections: Detections, background: Background): number {
  return detections.probabilities.background[BACKGROUNDS.indexOf(background)];
}

/**
 * How surely the image shows this concept, in [0, 1]: the largest p(its class) p(it) of any cell.
 * @throws RangeError for a name that is no concept's
 */
export function identityProbability(detections: Detections, name: string): number {
  const { probabilities: p } = detections;
  const identity = identityIndex(name);
  const category = CATEGORIES.indexOf(findConcept(name).class);
  let best = 0;
  for (let cell = 0; cell < CELLS; cell++) {
    const here = p.category[cell * (CATEGORIES.length + 1) + category];
    best = Math.max(best, here * p.identity[cell * (IDENTITIES.length + 1) + identity]);
  }
  return best;
}

/** What an image of a concept shall show, part by part, each in [0, 1]; `object` is null where none is asked for. */
export interface ConceptScore {
  readonly identity: number;
  readonly object: number | null;
  readonly background: number;
  /** Mean of the parts that are asked for. */
  readonly mean: number;
}

/** Graded agreement of an image with a prompt about a concept. */
export function scoreConcept(detections: Detections, name: string, truth: PromptTruth): ConceptScore {
  const identity = identityProbability(detections, name);
  const object = truth.object ? presence(detections, truth.object.object, truth.object.color) : null;
  const background = backgroundProbability(detections, truth.background);
  const parts = [identity, background, ...(object === null ? [] : [object])];
  return { identity, object, background, mean: parts.reduce((a, b) => a + b) / parts.length };
}
