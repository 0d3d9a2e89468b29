/**
 * Tones of every hue, for lessons in seeing: an object comes in about ninety of them, so that its kind is learned apart
 * from colors. None is within 32 degrees of the color in which the object is held out. The image tokenizer knows six
 * colors alone, so nothing is drawn in them; `color-augmentation` has the shades that can be drawn.
 */
import type { Rng } from '../engine/random';
import { HUES } from './concepts';
import { addLooks, withLooks } from './color-augmentation';
import type { Target } from './recolor';
import type { Scene } from './scene';
import type { SpriteSheet } from './sprites';
import { type Color, COLORS, isHeldOut } from './world';

/** Degrees of hue between a tone and the color that its object is held out in: as far as pink is from red. */
const NEAREST = 32;
/** Degrees of hue from one tone to the next. */
const STEP = 10;
/** Each from the darkest to the lightest tone of a drawing. */
const DEPTHS: Readonly<Record<string, Omit<Target, 'hue'>>> = {
  deep: { saturation: 0.7, range: [0.14, 0.38] },
  full: { saturation: 0.85, range: [0.28, 0.6] },
  pale: { saturation: 0.75, range: [0.55, 0.84] },
};

/** Tones by name: every ten degrees of hue, deep, full and pale. */
export const TONES: Readonly<Record<string, Target>> = Object.fromEntries(
  Array.from({ length: 360 / STEP }, (_, i) => i * STEP).flatMap((hue) =>
    Object.entries(DEPTHS).map(([depth, rest]) => [`${depth}-${hue}`, { hue, ...rest }]),
  ),
);

/** Degrees between two hues, 0 to 180. */
const apart = (a: number, b: number) => Math.abs(((a - b + 540) % 360) - 180);

/** Tones that an object may come in. @param object its name; any is near no color that is not held out with it */
export function tonesOf(object: string): string[] {
  const held: Color[] = COLORS.filter((color) => isHeldOut(object, color));
  return Object.keys(TONES).filter((tone) => held.every((color) => apart(TONES[tone].hue, HUES[color]) >= NEAREST));
}

/** Adds every object in each of its tones to the sheet: some 4,000 drawings, a few seconds. */
export const addTones = (sprites: SpriteSheet): Promise<void> => addLooks(sprites, tonesOf, TONES);

/** The scene with its objects in random tones, its subjects as they were. The objects' `color` is then no longer true. */
export const withTones = (scene: Scene, rng: Rng): Scene => withLooks(scene, rng, tonesOf);
