/**
 * Shades without a name in the mini world. A training image may show its objects in them: what such an image is
 * asked about is the objects' kinds and places alone, so that a kind is learned apart from the colors that it comes in,
 * and is known in a color that training never showed it in. No shade comes near a color in which its object is held out.
 */
import type { Rng } from '../engine/random';
import type { Question } from './questions';
import { loadIcon, OBJECT_ICONS, svgDocument } from './icons';
import { recolor, type Target } from './recolor';
import type { Scene } from './scene';
import { OBJECT_SIZES, spriteKey, type SpriteSheet } from './sprites';
import { type Color, COLORS, isHeldOut, OBJECTS } from './world';

interface AugmentedColor extends Target {
  /** Colors that the shade comes near to, in the image or as the mini image tokenizer (which knows six) gives it back. */
  readonly near: readonly Color[];
}

/** Tones by name, each of them off the six colors by hue, saturation or lightness. */
export const AUGMENTED_COLORS: Readonly<Record<string, AugmentedColor>> = {
  orange: { hue: 24, saturation: 0.95, range: [0.36, 0.6], near: ['red', 'yellow', 'pink'] },
  brown: { hue: 24, saturation: 0.55, range: [0.16, 0.36], near: ['red', 'green'] },
  lime: { hue: 85, saturation: 0.75, range: [0.36, 0.62], near: ['green', 'yellow'] },
  teal: { hue: 174, saturation: 0.8, range: [0.18, 0.4], near: ['green', 'blue'] },
  cyan: { hue: 188, saturation: 0.8, range: [0.42, 0.7], near: ['blue'] },
  navy: { hue: 235, saturation: 0.6, range: [0.08, 0.26], near: ['blue', 'green', 'purple'] },
  slate: { hue: 210, saturation: 0.08, range: [0.3, 0.56], near: ['blue', 'purple'] },
  black: { hue: 0, saturation: 0, range: [0.04, 0.24], near: ['green', 'purple'] },
  beige: { hue: 36, saturation: 0.4, range: [0.52, 0.78], near: ['red', 'yellow', 'pink'] },
};

/** Shades that an object may come in: none near a color in which it is held out. */
export const augmentedColorsOf = (object: string): string[] =>
  Object.keys(AUGMENTED_COLORS).filter(
    (augmentedColor) => !AUGMENTED_COLORS[augmentedColor].near.some((color) => isHeldOut(object, color)),
  );

/** Adds every object in each of its shades to the sheet. */
export const addColorAugmentation = (sprites: SpriteSheet): Promise<void> =>
  addLooks(sprites, augmentedColorsOf, AUGMENTED_COLORS);

/** Adds every object in each of its looks to the sheet. @param tones what the looks are, by name */
export async function addLooks(
  sprites: SpriteSheet,
  looksOf: (object: string) => readonly string[],
  tones: Readonly<Record<string, Target>>,
): Promise<void> {
  const drawings: [key: string, svg: string, size: number][] = [];
  for (const object of OBJECTS) {
    const icon = loadIcon(...OBJECT_ICONS[object]);
    for (const augmentedColor of looksOf(object)) {
      const painted = { ...icon, body: recolor(icon.body, tones[augmentedColor]) };
      for (const size of OBJECT_SIZES) {
        const key = spriteKey({ object, color: null, category: 'object', size, augmentedColor });
        drawings.push([key, svgDocument(painted, size), size]);
      }
    }
  }
  await sprites.add(drawings);
}

/** Whether {@link withAugmentedColors} fits a scene: subjects keep their colors, and people's hair is spoken of by color words. */
export const canAugmentColors = (scene: Scene) => scene.items.every((item) => item.category === 'object');

/** The scene with objects in random shades; objects of one name keep one look. Their `color` is then no longer true. */
export const withAugmentedColors = (scene: Scene, rng: Rng): Scene => withLooks(scene, rng, augmentedColorsOf);

/** The scene with each name's objects in one of its looks, drawn at random; subjects stay as they are. */
export function withLooks(scene: Scene, rng: Rng, looksOf: (object: string) => readonly string[]): Scene {
  const looks = new Map<string, string>();
  const items = scene.items.map((item) => {
    if (item.category !== 'object') return item;
    const augmentedColor = looks.get(item.object) ?? rng.pick(looksOf(item.object));
    looks.set(item.object, augmentedColor);
    return { ...item, augmentedColor };
  });
  return { ...scene, items };
}

const isColor = (word: string) => (COLORS as readonly string[]).includes(word);

/** A text without its color words: "a red umbrella" becomes "an umbrella". */
export function withoutColors(text: string): string {
  const words = text.split(' ').filter((word) => !isColor(word));
  return words.map((word, i) => (word === 'a' && /^[aeiou]/.test(words[i + 1] ?? '') ? 'an' : word)).join(' ');
}

/** Questions about a scene in shades that have a true answer but for color words, and where in the answer those stand. */
export function augmentedQuestions(questions: readonly Question[]): (Question & { colorWords: number[] })[] {
  return questions
    .filter(({ type, problem }) => type !== 'what_colour' && !(type === 'yes_no' && problem.split(' ').some(isColor)))
    .map((question) => ({
      ...question,
      colorWords: question.solution.split(' ').flatMap((word, i) => (isColor(word) ? [i] : [])),
    }));
}
