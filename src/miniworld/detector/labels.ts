/** What the scene detector can say, and what it is taught to say at each cell of its 8 x 8 grid. */
import { CONCEPTS } from '../concepts';
import type { Scene, SceneItem } from '../scene';
import { COLORS, SUBJECTS, BACKGROUNDS, OBJECTS, IMAGE_SIZE } from '../world';

/** Cells along each axis. */
export const GRID = 8;
/** Cells of an image. */
export const CELLS = GRID * GRID;
/** Pixels along each axis of a cell. */
export const CELL = IMAGE_SIZE / GRID;

/** Everything that can stand at a cell. */
export const CATEGORIES: readonly SceneItem['object'][] = [...OBJECTS, ...SUBJECTS];
/** The category "nothing has its center here". */
export const NONE = CATEGORIES.length;
/** The concepts' names; whoever is none of them has the index of {@link OTHER}. */
export const IDENTITIES: readonly string[] = CONCEPTS.map((concept) => concept.name);
/** The identity "none of the concepts". */
export const OTHER = IDENTITIES.length;
export { COLORS, BACKGROUNDS };

/** Not scored by the loss. */
export const IGNORED = -100;

/** A cell has to name a figure whose center is at most this far from its own, in pixels along each axis. */
const REACH = 5;

/** Truth of one image, cell by cell, row by row. */
export interface CellTargets {
  /** `[64]`, {@link NONE} where no figure has its center. */
  readonly category: Int32Array;
  /** `[64]`, {@link IGNORED} but for cells of colored objects. */
  readonly color: Int32Array;
  /** `[64]`, {@link IGNORED} but for cells of subjects. */
  readonly identity: Int32Array;
  /** `[64, 2]`: x and y of the figure's center from the cell's, in cells; 0 where there is none. */
  readonly offset: Float32Array;
  /** `[64]`, 1 where a figure has its center. */
  readonly present: Float32Array;
  readonly background: number;
}

/**
 * What the detector shall see.
 * @param identity the concept that the subject is, if it is one
 * @param shift pixels that the image was moved to the right and down
 */
export function cellTargets(scene: Scene, identity?: string, shift: readonly [number, number] = [0, 0]): CellTargets {
  const out = {
    category: new Int32Array(CELLS).fill(NONE),
    color: new Int32Array(CELLS).fill(IGNORED),
    identity: new Int32Array(CELLS).fill(IGNORED),
    offset: new Float32Array(CELLS * 2),
    present: new Float32Array(CELLS),
    background: BACKGROUNDS.indexOf(scene.background),
  };
  for (const item of scene.items) {
    const [x, y] = [item.x + item.size / 2 + shift[0], item.y + item.size / 2 + shift[1]];
    for (let cell = 0; cell < CELLS; cell++) {
      const dx = x - ((cell % GRID) + 0.5) * CELL;
      const dy = y - (Math.floor(cell / GRID) + 0.5) * CELL;
      if (Math.abs(dx) > REACH || Math.abs(dy) > REACH) continue;
      out.category[cell] = CATEGORIES.indexOf(item.object);
      out.present[cell] = 1;
      out.offset.set([dx / CELL, dy / CELL], cell * 2);
      if (item.color) out.color[cell] = COLORS.indexOf(item.color);
      if (item.category === 'subject') out.identity[cell] = identity === undefined ? OTHER : identityIndex(identity);
    }
  }
  return out;
}

/** Index of a concept. @throws RangeError listing the known names */
export function identityIndex(name: string): number {
  const index = IDENTITIES.indexOf(name);
  if (index < 0) throw new RangeError(`the detector knows no concept '${name}'; it knows ${IDENTITIES.join(', ')}`);
  return index;
}
