/**
 * Subjects for MM-R1: animals and things in colors that are not theirs, each a particular drawing. Which of them, and
 * which prompts, are held out is fixed here: whoever trains on X-CoT must ask for split `train` alone.
 */
import type { Rng } from '../engine';
import type { SubjectPair, XcotRecord } from '../data/xcot';
import type { Image } from '../io';
import { describeItem, withArticle } from './captions';
import { CONCEPTS, HUES, recoloredSvg } from './concepts';
import { recoloredStyle } from './recolored-subjects';
import { renderScene } from './render';
import { besideLayout, CELL, relationOf, type Scene, type SceneItem, SIZES, SUBJECT_ROW, subjectColumn } from './scene';
import { spriteKey, type SpriteSheet } from './sprites';
import {
  ANIMALS,
  type AnimalName,
  ART_STYLES,
  type ArtStyle,
  type Background,
  BACKGROUND_PHRASES,
  BACKGROUNDS,
  type Color,
  COLORS,
  type Combination,
  IMAGE_SIZE,
  type Split,
  SUBJECT_OBJECTS,
  type SubjectObjectName,
  TRAIN_COMBINATIONS,
} from './world';

/** A particular animal or thing. */
export interface XcotSubject {
  readonly object: AnimalName | SubjectObjectName;
  /** null: one without a name. */
  readonly color: Color | null;
  /** Degrees. Default: the color's own. */
  readonly hue?: number;
  readonly style: ArtStyle;
}

/** One in a color as it is named. */
export interface NamedSubject extends XcotSubject {
  readonly color: Color;
}

/** Pandas and penguins stay black and white in any color. */
const ALL = [...ANIMALS, ...SUBJECT_OBJECTS].filter((name) => name !== 'panda' && name !== 'penguin');

/**
 * Two colors of each kind are held out, in all of its drawings; the colors of concepts are among them, since who trains
 * a base must not have seen concepts either.
 */
const heldOutColors = new Map(
  ALL.map((object, i): [string, readonly Color[]] => {
    const concepts = CONCEPTS.filter((concept) => concept.class === object && concept.color).map(
      ({ color }) => color as Color,
    );
    const others = [0, 1, 2, 3].map((k) => COLORS[(i + 2 * k) % COLORS.length]);
    return [object, [...new Set([...concepts, ...others])].slice(0, 2)];
  }),
);

/** The middle between each color's hue and the next one's. */
const huesBetween = [...COLORS]
  .sort((a, b) => HUES[a] - HUES[b])
  .map((color, i, ring) => {
    const next = ring[(i + 1) % ring.length];
    const gap = (HUES[next] - HUES[color] + 360) % 360;
    return { colors: [color, next], hue: Math.round(HUES[color] + gap / 2) % 360 };
  });

/** 256 drawings of 64 subjects to train on, 128 drawings of 32 subjects held out. */
export function xcotSubjects(split: Split): readonly NamedSubject[] {
  return ALL.flatMap((object) => {
    const held = heldOutColors.get(object) ?? [];
    const colors = COLORS.filter((color) => held.includes(color) === (split === 'heldout'));
    return colors.flatMap((color) => ART_STYLES.map((style) => ({ object, color, style })));
  });
}

/** How far a shade is off the hue of its color, in degrees. */
const SHADE = 12;

/** One of the colors of each kind that no supervised step shows. */
const reservedColors = new Map(
  ALL.map((object, i): [string, Color] => {
    const held = heldOutColors.get(object) ?? [];
    const free = COLORS.filter((color) => !held.includes(color));
    return [object, free[i % free.length]];
  }),
);
const isReserved = ({ object, color }: NamedSubject) => reservedColors.get(object) === color;

const withShades = (subjects: readonly NamedSubject[]): readonly XcotSubject[] => [
  ...subjects,
  ...subjects.flatMap((subject): XcotSubject[] =>
    [-SHADE, SHADE].map((shade) => ({ ...subject, hue: (HUES[subject.color] + shade + 360) % 360 })),
  ),
];

/**
 * What supervised X-CoT shows: three of the four colors of split `train` of each kind, those a shade off, and hues between
 * two colors' where neither of the two is held out or reserved. With few looks a model would learn them by heart, and copy
 * none that it is shown.
 */
export const shownSubjects: readonly XcotSubject[] = [
  ...withShades(xcotSubjects('train').filter((subject) => !isReserved(subject))),
  ...ALL.flatMap((object) => {
    const hidden = [...(heldOutColors.get(object) ?? []), reservedColors.get(object)];
    const between = huesBetween.filter(({ colors }) => !colors.some((color) => hidden.includes(color)));
    return between.flatMap(({ hue }) => ART_STYLES.map((style): XcotSubject => ({ object, color: null, hue, style })));
  }),
];

/**
 * What reinforcement asks for: the fourth color of each kind and its shades, strangers after the cold start. On subjects
 * that it has shown, rewards stand at their ceiling, and there is nothing to tell good copies from bad ones.
 */
export const reservedSubjects: readonly XcotSubject[] = withShades(xcotSubjects('train').filter(isReserved));

/** Adds the drawings of all subjects to the sheet, held-out ones too. */
export async function addXcotSubjects(sprites: SpriteSheet): Promise<void> {
  const size = SIZES.subject;
  const all = new Map(
    [...shownSubjects, ...reservedSubjects, ...xcotSubjects('heldout')].map((subject): [string, () => string] => [
      spriteKey({ object: subject.object, color: null, category: 'subject', style: styleOf(subject), size }),
      () => recoloredSvg(subject.object, subject.style, lookOf(subject), size),
    ]),
  );
  await sprites.add([...all].map(([key, svg]) => [key, svg(), size] as const));
}

const lookOf = ({ color, hue }: XcotSubject): Color | number => hue ?? (color as Color);
const styleOf = (subject: XcotSubject) => recoloredStyle(subject.style, lookOf(subject));

/** What shall be drawn: a place, and what stands beside the subject. */
export interface XcotWish {
  readonly background: Background;
  readonly object: Combination | null;
}

/** Every fifth pair of a thing and a place is held out: its words are known, their combination never asked for. */
export function xcotWishes(split: Split): readonly XcotWish[] {
  return BACKGROUNDS.flatMap((background, b) =>
    TRAIN_COMBINATIONS.filter((_, o) => ((o + 2 * b) % 5 === 0) === (split === 'heldout')).map((object): XcotWish => ({
      background,
      object,
    })),
  );
}

/** "a dog beside a red cup at the beach": what a user asks for, who has shown the dog. */
export function wishText({ object }: XcotSubject, wish: XcotWish): string {
  const beside = wish.object ? ` beside ${withArticle(`${wish.object.color} ${wish.object.object}`)}` : '';
  return `${withArticle(object)}${beside} ${BACKGROUND_PHRASES[wish.background]}`;
}

const figureOf = (subject: XcotSubject, x: number, y: number): SceneItem => ({
  object: subject.object,
  color: null,
  category: 'subject',
  x,
  y,
  size: SIZES.subject,
  style: styleOf(subject),
});

/** The subject with what stands beside it, where it shall be. */
export function subjectScene(subject: XcotSubject, { background, object }: XcotWish, rng: Rng): Scene {
  if (!object) return { kind: 'subject', background, items: [figureOf(subject, subjectColumn(rng), SUBJECT_ROW)] };
  const at = besideLayout(rng);
  const beside: SceneItem = { ...object, category: 'object', ...at.object, size: SIZES.objectBesideSubject };
  return { kind: 'subject+object', background, items: [figureOf(subject, at.subject.x, at.subject.y), beside] };
}

/** The reference: on another background than is wished for, half of the time with something else beside it. */
export function referenceScene(subject: XcotSubject, wish: XcotWish, rng: Rng): Scene {
  const background = rng.pick(BACKGROUNDS.filter((other) => other !== wish.background));
  const others = TRAIN_COMBINATIONS.filter(({ object }) => object !== wish.object?.object);
  return subjectScene(subject, { background, object: rng.uniform() < 0.5 ? rng.pick(others) : null }, rng);
}

/** Images of all subjects of split `train` beside things, alone, and alone on white. */
export function subjectImages(sprites: SpriteSheet): (rng: Rng) => Uint8Array {
  const [subjects, wishes] = [[...shownSubjects, ...reservedSubjects], xcotWishes('train')];
  return (rng) => {
    const [subject, wish] = [rng.pick(subjects), rng.pick(wishes)];
    const at = rng.uniform();
    const alone = at < 0.2 ? focusScene(subject) : subjectScene(subject, { ...wish, object: null }, rng);
    return renderScene(at < 0.5 ? alone : subjectScene(subject, wish, rng), sprites);
  };
}

/** The subject alone on white, in the center. */
export function focusScene(subject: XcotSubject): Scene {
  const x = Math.floor((IMAGE_SIZE - SIZES.subject) / (2 * CELL)) * CELL;
  return { kind: 'subject', background: 'white', items: [figureOf(subject, x, SUBJECT_ROW)] };
}

/** "a blue dog"; "a dog" in a color without a name. */
export const subjectCaption = ({ object, color }: XcotSubject) => withArticle(color ? `${color} ${object}` : object);

/** "a blue dog left of a red cup at the beach". */
export function planText(subject: XcotSubject, { items, background }: Scene): string {
  const [figure, beside] = items;
  const relation = beside ? ` ${relationOf(figure, beside)} ${describeItem(beside)}` : '';
  return `${subjectCaption(subject)}${relation} ${BACKGROUND_PHRASES[background]}`;
}

/** A pair as Subjects200K has it, with the truth about both. */
export interface RenderedPair extends SubjectPair {
  readonly truth: { readonly subject: XcotSubject; readonly wish: XcotWish; readonly target: Scene };
}

/** Draws a pair; the same numbers give the same pixels. */
export function renderPair(subject: XcotSubject, wish: XcotWish, rng: Rng, sprites: SpriteSheet): RenderedPair {
  const target = subjectScene(subject, wish, rng.split('target'));
  return {
    id: `${lookOf(subject)} ${subject.object} ${subject.style} ${wishText(subject, wish)}`,
    subject: subject.object,
    reference: imageOf(referenceScene(subject, wish, rng.split('reference')), sprites),
    target: imageOf(target, sprites),
    prompt: wishText(subject, wish),
    truth: { subject, wish, target },
  };
}

/** The exact extractor, captioner and planner of rendered pairs; what a data engine asks large models for otherwise. */
export function exactRecord(pair: RenderedPair, sprites: SpriteSheet): XcotRecord {
  const { subject, target } = pair.truth;
  return {
    ...pair,
    caption: subjectCaption(subject),
    focus: imageOf(focusScene(subject), sprites),
    plan: planText(subject, target),
  };
}

export const imageOf = (scene: Scene, sprites: SpriteSheet): Image => ({
  width: IMAGE_SIZE,
  height: IMAGE_SIZE,
  rgb: renderScene(scene, sprites),
});
