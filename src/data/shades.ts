/**
 * Shades without a name in the mini world. A training picture may show its objects in them: what such a picture is
 * asked about is the objects' kinds and places alone, so that a kind is learned apart from the colours that it comes in,
 * and is known in a colour that training never showed it in. No shade comes near a colour in which its object is held out.
 */
import type { Stream } from '../engine/random';
import type { Question } from './questions';
import { loadIcon, OBJECT_ICONS, svgDocument } from './icons';
import { recolour, type Target } from './recolour';
import type { Scene } from './scene';
import { OBJECT_SIZES, spriteKey, type SpriteSheet } from './sprites';
import { type Colour, COLOURS, isHeldOut, OBJECTS } from './world';

interface Shade extends Target {
  /** Colours that the shade comes near to, in the picture or as the mini image tokenizer (which knows six) gives it back. */
  readonly near: readonly Colour[];
}

/** Tones by name, each of them off the six colours by hue, saturation or lightness. */
export const SHADES: Readonly<Record<string, Shade>> = {
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

/** Shades that an object may come in: none near a colour in which it is held out. */
export const shadesOf = (object: string): string[] =>
  Object.keys(SHADES).filter((shade) => !SHADES[shade].near.some((colour) => isHeldOut(object, colour)));

/** Adds every object in each of its shades to the sheet. */
export async function addShades(sprites: SpriteSheet): Promise<void> {
  const drawings: [key: string, svg: string, size: number][] = [];
  for (const object of OBJECTS) {
    const icon = loadIcon(...OBJECT_ICONS[object]);
    for (const shade of shadesOf(object)) {
      const painted = { ...icon, body: recolour(icon.body, SHADES[shade]) };
      for (const size of OBJECT_SIZES) {
        const key = spriteKey({ object, colour: null, category: 'object', size, shade });
        drawings.push([key, svgDocument(painted, size), size]);
      }
    }
  }
  await sprites.add(drawings);
}

/** Whether {@link inShades} fits a scene: creatures keep their colours, and people's hair is spoken of by colour words. */
export const takesShades = (scene: Scene) => scene.items.every((item) => item.category === 'object');

/** The scene with objects in random shades; objects of one name keep one look. Their `colour` is then no longer true. */
export function inShades(scene: Scene, stream: Stream): Scene {
  const looks = new Map<string, string>();
  const items = scene.items.map((item) => {
    const shade = looks.get(item.object) ?? stream.pick(shadesOf(item.object));
    looks.set(item.object, shade);
    return { ...item, shade };
  });
  return { ...scene, items };
}

const isColour = (word: string) => (COLOURS as readonly string[]).includes(word);

/** A text without its colour words: "a red umbrella" becomes "an umbrella". */
export function withoutColours(text: string): string {
  const words = text.split(' ').filter((word) => !isColour(word));
  return words.map((word, i) => (word === 'a' && /^[aeiou]/.test(words[i + 1] ?? '') ? 'an' : word)).join(' ');
}

/** Questions about a scene in shades that have a true answer but for colour words, and where in the answer those stand. */
export function shadeQuestions(questions: readonly Question[]): (Question & { colourWords: number[] })[] {
  return questions
    .filter(({ type, problem }) => type !== 'what_colour' && !(type === 'yes_no' && problem.split(' ').some(isColour)))
    .map((question) => ({
      ...question,
      colourWords: question.solution.split(' ').flatMap((word, i) => (isColour(word) ? [i] : [])),
    }));
}
