/** From the detector's probabilities to what it says it sees: pure functions on plain numbers. */
import type { SceneItem } from '../scene';
import { OBJECTS, type Color, type Background } from '../world';
import { CATEGORIES, CELL, CELLS, COLORS, GRID, BACKGROUNDS, IDENTITIES, NONE, OTHER } from './labels';

/** Probabilities of one image, cell by cell, row by row. */
export interface CellProbabilities {
  /** `[64, 32]`, the last one for "nothing here". */
  readonly category: Float32Array;
  /** `[64, 6]`, given that an object is there. */
  readonly color: Float32Array;
  /** `[64, 21]`, given that a subject is there; the last one for "none of the concepts". */
  readonly identity: Float32Array;
  /** `[64, 2]`: center of the figure from the cell's, in cells. */
  readonly offset: Float32Array;
  /** `[9]` */
  readonly background: Float32Array;
}

/** A figure that was seen. */
export interface DetectedItem {
  readonly object: SceneItem['object'];
  readonly category: SceneItem['category'];
  /** Objects only. */
  readonly color: Color | null;
  /** Subjects only: the concept's name, or null for somebody else. */
  readonly identity: string | null;
  /** Center in pixels. */
  readonly x: number;
  readonly y: number;
  /** How sure, each in [0, 1]; `color` and `identity` are 0 where they do not apply. */
  readonly confidence: { readonly object: number; readonly color: number; readonly identity: number };
}

/** What one image shows. */
export interface Detections {
  readonly items: readonly DetectedItem[];
  readonly background: Background;
  readonly probabilities: CellProbabilities;
}

const OBJECT_COUNT = OBJECTS.length;

/** Whether a category index is an object that takes a color. */
export const isObject = (category: number): boolean => category < OBJECT_COUNT;

/** Figures are cells where something stands more likely than not, and likelier than at any of the eight neighbors. */
export function decodeDetections(probabilities: CellProbabilities): Detections {
  const width = CATEGORIES.length + 1;
  const present = Float32Array.from({ length: CELLS }, (_, cell) => 1 - probabilities.category[cell * width + NONE]);
  const items: DetectedItem[] = [];
  for (let cell = 0; cell < CELLS; cell++) {
    if (present[cell] <= 0.5 || !isPeak(present, cell)) continue;
    items.push(itemAt(probabilities, cell));
  }
  return { items, background: BACKGROUNDS[best(probabilities.background, 0, BACKGROUNDS.length)], probabilities };
}

/** Of equal neighbors the first one is the peak. */
function isPeak(present: Float32Array, cell: number): boolean {
  const [column, row] = [cell % GRID, Math.floor(cell / GRID)];
  for (let y = Math.max(0, row - 1); y <= Math.min(GRID - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(GRID - 1, column + 1); x++) {
      const other = y * GRID + x;
      if (present[other] > present[cell] || (present[other] === present[cell] && other < cell)) return false;
    }
  }
  return true;
}

function itemAt(p: CellProbabilities, cell: number): DetectedItem {
  const width = CATEGORIES.length + 1;
  const category = best(p.category, cell * width, CATEGORIES.length);
  const object = isObject(category);
  const color = best(p.color, cell * COLORS.length, COLORS.length);
  const identity = best(p.identity, cell * (IDENTITIES.length + 1), IDENTITIES.length + 1);
  return {
    object: CATEGORIES[category],
    category: object ? 'object' : 'subject',
    color: object ? COLORS[color] : null,
    identity: object || identity === OTHER ? null : IDENTITIES[identity],
    x: ((cell % GRID) + 0.5 + p.offset[cell * 2]) * CELL,
    y: (Math.floor(cell / GRID) + 0.5 + p.offset[cell * 2 + 1]) * CELL,
    confidence: {
      object: p.category[cell * width + category],
      color: object ? p.color[cell * COLORS.length + color] : 0,
      identity: object ? 0 : p.identity[cell * (IDENTITIES.length + 1) + identity],
    },
  };
}

function best(values: Float32Array, from: number, count: number): number {
  let at = 0;
  for (let k = 1; k < count; k++) if (values[from + k] > values[from + at]) at = k;
  return at;
}
