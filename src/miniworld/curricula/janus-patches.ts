/** What Janus mini's vision tower learns to see: the kind, the color and the background of every patch. */
import { canAugmentColors, withAugmentedColors } from '../color-augmentation';
import { renderScene } from '../render';
import { sampleScene, type Scene } from '../scene';
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
 * @param sprites with the augmented colors when there are any to be drawn
 * @param patch side of a patch, pixels
 * @param colorAugmentation chance that the objects of a scene without subjects come in colors that have no name. Default 0
 */
export function patchSource(
  sprites: SpriteSheet,
  patch: number,
  split: Split,
  colorAugmentation = 0,
): (rng: Rng) => LabeledImage {
  return (rng) => {
    const plain = sampleScene(rng, split);
    const draws = rng.split('shades');
    const augmented = canAugmentColors(plain) && draws.uniform() < colorAugmentation;
    const scene = augmented ? withAugmentedColors(plain, draws) : plain;
    return { pixels: renderScene(scene, sprites), labels: patchLabels(scene, patch) };
  };
}

/** Labels row by row, `[(64 / patch)^2]` each. */
export function patchLabels(scene: Scene, patch: number): Record<keyof typeof PATCH_CLASSES, Uint8Array> {
  const side = IMAGE_SIZE / patch;
  const [kind, color] = [new Uint8Array(side * side), new Uint8Array(side * side)];
  for (const item of scene.items) {
    const [right, bottom] = [(item.x + item.size) / patch, (item.y + item.size) / patch];
    for (let y = item.y / patch; y < bottom; y++)
      for (let x = item.x / patch; x < right; x++) {
        kind[y * side + x] = KINDS.indexOf(item.object) + 1;
        const unnamed = item.augmentedColor !== undefined;
        color[y * side + x] = unnamed ? COLORS.length + 1 : item.color ? COLORS.indexOf(item.color) + 1 : 0;
      }
  }
  const background = new Uint8Array(side * side).fill(BACKGROUNDS.indexOf(scene.background));
  return { kind, color, background };
}
