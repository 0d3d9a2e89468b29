/** What Janus mini's vision tower learns to see: the kind, the color and the background of every patch. */
import { canAugmentColors, withAugmentedColors } from '../color-augmentation';
import { canPaint, withPaintedSubjects } from '../painted-subjects';
import { TONES, withTones } from '../tones';
import { AUGMENTED_COLORS } from '../color-augmentation';
import { HUES } from '../concepts';
import { renderScene } from '../render';
import { sampleScene, type Scene, type SceneItem } from '../scene';
import type { SpriteSheet } from '../sprites';
import { BACKGROUNDS, COLORS, IMAGE_SIZE, OBJECTS, type Split, SUBJECTS } from '../world';
import type { Rng } from '../../engine';
import type { LabeledImage } from './janus-vision-task';

const KINDS: readonly string[] = [...OBJECTS, ...SUBJECTS];

/**
 * Ways of each label. 0 is "no figure here" for kinds, and "no figure, or one without a color" for colors, of which the
 * last is any that has no name.
 */
export const PATCH_CLASSES = { kind: KINDS.length + 1, color: COLORS.length + 2, background: BACKGROUNDS.length };

/**
 * A scene of a split with the labels of its patches.
 * @param sprites with the augmented colors, tones and painted subjects when there are any to be drawn
 * @param patch side of a patch, pixels
 */
export function patchSource(
  sprites: SpriteSheet,
  patch: number,
  split: Split,
  { colorAugmentation = 0, tones = 0, paintedSubjects = 0 }: PatchLooks = {},
): (rng: Rng) => LabeledImage {
  return (rng) => {
    const sampled = sampleScene(rng, split);
    const [draws, toned, paint] = [rng.split('shades'), rng.split('tones'), rng.split('paint')];
    const painted = canPaint(sampled) && paint.uniform() < paintedSubjects;
    const plain = painted ? withPaintedSubjects(sampled, paint) : sampled;
    if (toned.uniform() < tones) {
      const scene = withTones(plain, toned);
      return {
        pixels: renderScene(scene, sprites),
        labels: patchLabels(scene, patch, UNSCORED),
        hues: patchHues(scene, patch),
      };
    }
    const augmented = canAugmentColors(plain) && draws.uniform() < colorAugmentation;
    const scene = augmented ? withAugmentedColors(plain, draws) : plain;
    return { pixels: renderScene(scene, sprites), labels: patchLabels(scene, patch), hues: patchHues(scene, patch) };
  };
}

/** In what the objects of a scene come beside their own colors. */
export interface PatchLooks {
  /** Chance that the objects of a scene without subjects come in colors that have no name, in [0, 1]. Default 0 */
  readonly colorAugmentation?: number;
  /** Chance that a scene's objects come in tones, see `withTones`; what color those are is not asked. Default 0 */
  readonly tones?: number;
  /** Chance that a scene shows an animal or a thing in a named color, see `withPaintedSubjects`. Default 0 */
  readonly paintedSubjects?: number;
}

/** The label of what is not asked: what `crossEntropy` leaves out by default. */
const UNSCORED = -100;

/** Labels row by row, `[(64 / patch)^2]` each. @param unnamed the label of colors that have no name */
export function patchLabels(
  scene: Scene,
  patch: number,
  unnamed = COLORS.length + 1,
): Record<keyof typeof PATCH_CLASSES, ArrayLike<number>> {
  const side = IMAGE_SIZE / patch;
  const [kind, color] = [new Uint8Array(side * side), new Int32Array(side * side)];
  for (const [item, at] of figurePatches(scene, patch)) {
    kind[at] = KINDS.indexOf(item.object) + 1;
    const named = item.color ? COLORS.indexOf(item.color) + 1 : 0;
    color[at] = item.augmentedColor === undefined ? named : unnamed;
  }
  const background = new Uint8Array(side * side).fill(BACKGROUNDS.indexOf(scene.background));
  return { kind, color, background };
}

/** Hues row by row, degrees: of named colors, of tones, and of shades that have one; NaN where nothing has a color. */
export function patchHues(scene: Scene, patch: number): Float32Array {
  const side = IMAGE_SIZE / patch;
  const hues = new Float32Array(side * side).fill(NaN);
  for (const [item, at] of figurePatches(scene, patch)) hues[at] = hueOf(item);
  return hues;
}

/** Below it, a shade has no hue that could be seen. */
const LEAST_SATURATION = 0.3;

function hueOf({ color, augmentedColor }: SceneItem): number {
  if (augmentedColor === undefined) return color ? HUES[color] : NaN;
  const { hue, saturation } = TONES[augmentedColor] ?? AUGMENTED_COLORS[augmentedColor];
  return saturation < LEAST_SATURATION ? NaN : hue;
}

/** Every figure with each patch that it lies in; later ones lie in front. */
function* figurePatches({ items }: Scene, patch: number): Generator<readonly [SceneItem, number]> {
  const side = IMAGE_SIZE / patch;
  for (const item of items) {
    const [right, bottom] = [(item.x + item.size) / patch, (item.y + item.size) / patch];
    for (let y = item.y / patch; y < bottom; y++)
      for (let x = item.x / patch; x < right; x++) yield [item, y * side + x];
  }
}
