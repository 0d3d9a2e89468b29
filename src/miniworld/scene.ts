/** Scenes: the whole truth of an image as data, sampled from a seeded generator. */
import type { Rng } from '../engine/random';
import { genericPerson, PEOPLE_POOL, type PersonAttributes } from './people';
import {
  ANIMALS,
  ART_STYLES,
  COLORS,
  BACKGROUNDS,
  HELD_OUT_COMBINATIONS,
  IMAGE_SIZE,
  SUBJECT_OBJECTS,
  TRAIN_COMBINATIONS,
  isHeldOut,
  type Color,
  type Combination,
  type SubjectName,
  type Background,
  type ObjectName,
  type Split,
} from './world';

export const SCENE_KINDS = ['single', 'count', 'pair', 'subject', 'subject+object'] as const;
export type SceneKind = (typeof SCENE_KINDS)[number];

/** One figure of a scene. */
export interface SceneItem {
  readonly object: ObjectName | SubjectName;
  /** null for subjects, which have natural colors */
  readonly color: Color | null;
  readonly category: 'object' | 'subject';
  /** left edge in pixels, a multiple of {@link CELL} */
  readonly x: number;
  /** upper edge in pixels, a multiple of {@link CELL} */
  readonly y: number;
  /** side in pixels, a multiple of {@link CELL} */
  readonly size: number;
  /** subjects: the art style, or `person-<number>` of the pool, or a concept's own drawing */
  readonly style?: string;
  /** people only */
  readonly attributes?: PersonAttributes;
  /** objects of training images only: drawn in a shade that has no name in the mini world, see `shades` */
  readonly augmentedColor?: string;
}

/** Everything that is true of an image. */
export interface Scene {
  readonly kind: SceneKind;
  readonly background: Background;
  /** `pair`: left or upper one first; `subject+object`: the subject first */
  readonly items: readonly SceneItem[];
}

/** Where the one figure of a `single` or `subject` scene stands. */
export type Placement = 'centre' | 'left' | 'right' | 'top' | 'bottom';
export const PLACEMENTS: readonly Placement[] = ['centre', 'left', 'right', 'top', 'bottom'];

const KIND_WEIGHTS: Readonly<Record<SceneKind, number>> = {
  single: 0.3,
  count: 0.15,
  pair: 0.25,
  subject: 0.1,
  'subject+object': 0.2,
};

/**
 * Sides in pixels by role. Sides and places are multiples of {@link CELL}, so that a figure falls on the cells of the
 * models' 8 x 8 code grid in one way only: what a model learns of a figure at one place holds at every other.
 */
export const SIZES = {
  single: 32,
  count: 32,
  pair: 32,
  subject: 40,
  subjectBesideObject: 40,
  objectBesideSubject: 24,
} as const;

/** Pixels between possible places of figures. */
export const CELL = 8;

/**
 * Draws a kind of scene.
 * @param weights how often each kind comes, in any unit. Default: the mini world's, a single object most often
 */
export function sampleKind(rng: Rng, split: Split, weights: Readonly<Record<SceneKind, number>> = KIND_WEIGHTS) {
  const kinds = SCENE_KINDS.filter((kind) => split === 'train' || kind !== 'subject');
  let u = rng.uniform() * kinds.reduce((sum, kind) => sum + weights[kind], 0);
  for (const kind of kinds) {
    u -= weights[kind];
    if (u < 0) return kind;
  }
  return 'single';
}

const combination = (rng: Rng, split: Split): Combination =>
  rng.pick(split === 'train' ? TRAIN_COMBINATIONS : HELD_OUT_COMBINATIONS);

/** Draws one of the 60 combinations of `train` or of the 12 of `heldout`. */
export const sampleCombination = combination;

/** Left edge or upper edge for a figure of `size` pixels. */
function placed(placement: Placement, size: number): { x: number; y: number } {
  const middle = Math.floor((IMAGE_SIZE - size) / (2 * CELL)) * CELL;
  const end = IMAGE_SIZE - size;
  return {
    x: placement === 'left' ? 0 : placement === 'right' ? end : middle,
    y: placement === 'top' ? 0 : placement === 'bottom' ? end : middle,
  };
}

/** Where a lone figure stands, read from its place. */
export function placementOf(item: SceneItem): Placement {
  const found = PLACEMENTS.find((p) => {
    const at = placed(p, item.size);
    return at.x === item.x && at.y === item.y;
  });
  if (!found) throw new RangeError(`a figure of ${item.size} pixels at ${item.x},${item.y} stands at no named place`);
  return found;
}

/** A generic subject: 45% people, 35% animals, 20% things. */
export function sampleSubject(rng: Rng, x: number, y: number, size: number): SceneItem {
  const u = rng.uniform();
  if (u < 0.45) {
    const index = rng.int(PEOPLE_POOL);
    const attributes = genericPerson(index);
    return { object: 'person', color: null, category: 'subject', x, y, size, style: `person-${index}`, attributes };
  }
  const object = u < 0.8 ? rng.pick(ANIMALS) : rng.pick(SUBJECT_OBJECTS);
  return { object, color: null, category: 'subject', x, y, size, style: rng.pick(ART_STYLES) };
}

/** Upper edge of subjects: they stand on one line, 8 pixels above the lower border, so that captions leave less open. */
export const SUBJECT_ROW = 16;

/** Left edge of a subject that stands alone: left, center or right. */
export const subjectColumn = (rng: Rng): number =>
  placed(rng.pick(['centre', 'left', 'right'] as const), SIZES.subject).x;

/** A subject (40 px) with room for an object (24 px) on its left or right; both stand on one line. */
export function besideLayout(rng: Rng): {
  subject: { x: number; y: number };
  object: { x: number; y: number };
} {
  const y = SUBJECT_ROW;
  const objectLeft = rng.uniform() < 0.5;
  return {
    subject: { x: objectLeft ? SIZES.objectBesideSubject : 0, y },
    object: {
      x: objectLeft ? 0 : SIZES.subjectBesideObject,
      y: y + SIZES.subjectBesideObject - SIZES.objectBesideSubject,
    },
  };
}

/** Left and upper edge of a figure in quarter 0 to 3 of the image. */
export const quarter = (slot: number): readonly [x: number, y: number] => [
  (slot % 2) * (IMAGE_SIZE / 2),
  (slot >> 1) * (IMAGE_SIZE / 2),
];

/**
 * Draws a scene.
 * @param kind default: at random, a single object most often
 * @throws RangeError for kind `subject` in split `heldout`: such a scene holds no combination
 */
export function sampleScene(rng: Rng, split: Split, kind: SceneKind = sampleKind(rng, split)): Scene {
  if (split === 'heldout' && kind === 'subject') {
    throw new RangeError("split 'heldout' is about unseen (object, colour) combinations; a 'subject' scene has none");
  }
  const background = rng.pick(BACKGROUNDS);
  const object = (c: Combination, x: number, y: number, size: number): SceneItem => ({
    ...c,
    category: 'object',
    x,
    y,
    size,
  });
  switch (kind) {
    case 'single': {
      const { x, y } = placed(rng.pick(PLACEMENTS), SIZES.single);
      return { kind, background, items: [object(combination(rng, split), x, y, SIZES.single)] };
    }
    case 'count': {
      const c = combination(rng, split);
      const slots = rng
        .shuffle([0, 1, 2, 3])
        .slice(0, 2 + rng.int(3))
        .sort((a, b) => a - b);
      return { kind, background, items: slots.map((s) => object(c, ...quarter(s), SIZES.count)) };
    }
    case 'pair': {
      const first = combination(rng, split);
      // In `heldout` the second one may come from either list, so that it says nothing about the split.
      let second = first;
      while (second.object === first.object) {
        second = combination(rng, split === 'heldout' && rng.uniform() < 0.3 ? 'heldout' : 'train');
      }
      const [a, b] = rng.shuffle([first, second]);
      const across = (IMAGE_SIZE - SIZES.pair) / 2;
      const sideBySide = rng.uniform() < 0.5;
      const [near, far] = [0, IMAGE_SIZE - SIZES.pair];
      const items = sideBySide
        ? [object(a, near, across, SIZES.pair), object(b, far, across, SIZES.pair)]
        : [object(a, across, near, SIZES.pair), object(b, across, far, SIZES.pair)];
      return { kind, background, items };
    }
    case 'subject': {
      const x = subjectColumn(rng);
      return { kind, background, items: [sampleSubject(rng, x, SUBJECT_ROW, SIZES.subject)] };
    }
    case 'subject+object': {
      const at = besideLayout(rng);
      const subject = sampleSubject(rng, at.subject.x, at.subject.y, SIZES.subjectBesideObject);
      const beside = object(combination(rng, split), at.object.x, at.object.y, SIZES.objectBesideSubject);
      return { kind, background, items: [subject, beside] };
    }
  }
}

/** Whether any figure of the scene is a held-out combination. */
export function hasHeldOut(scene: Scene): boolean {
  return scene.items.some((item) => isHeldOut(item.object, item.color));
}

/** Relation of the first of two figures to the second. */
export function relationOf(a: SceneItem, b: SceneItem): 'left of' | 'right of' | 'above' | 'below' {
  const dx = a.x + a.size / 2 - (b.x + b.size / 2);
  const dy = a.y + a.size / 2 - (b.y + b.size / 2);
  if (Math.abs(dx) >= Math.abs(dy)) return dx < 0 ? 'left of' : 'right of';
  return dy < 0 ? 'above' : 'below';
}

/** A color other than the given one. */
export const otherColor = (rng: Rng, color: Color): Color => rng.pick(COLORS.filter((c) => c !== color));
