/**
 * What MTCNN does with boxes, as facenet-pytorch does it: proposals of a map, two kinds of non-maximum suppression,
 * corrections, squares. Coordinates are pixels; results are rounded to float32 where upstream computes in it.
 */

/** A candidate: edges (x to the right, y down), its score, and the corrections that the last network asked for. */
export interface Box {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  readonly score: number;
  readonly regression: readonly number[];
}

const float = Math.fround;

/** P-Net looks at windows of 12 pixels, 2 pixels apart. */
const STRIDE = 2;
const WINDOW = 12;

/**
 * The places of P-Net's map whose probability reaches the threshold, as boxes of the unscaled image.
 * @param values `[rows, columns, 6]`: both probabilities, then four corrections
 */
export function proposedBoxes(
  values: Float32Array,
  rows: number,
  columns: number,
  scale: number,
  threshold: number,
): Box[] {
  const boxes: Box[] = [];
  const unscaled = (x: number): number => Math.floor(float(x / float(scale)));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = (row * columns + column) * 6;
      if (!(values[at + 1] >= float(threshold))) continue;
      boxes.push({
        x1: unscaled(STRIDE * column + 1),
        y1: unscaled(STRIDE * row + 1),
        x2: unscaled(STRIDE * column + WINDOW),
        y2: unscaled(STRIDE * row + WINDOW),
        score: values[at + 1],
        regression: Array.from(values.subarray(at + 2, at + 6)),
      });
    }
  }
  return boxes;
}

/** How much two boxes overlap. */
type Overlap = (a: Box, b: Box) => number;

/** Intersection over union; edges lie between pixels. */
const overUnion: Overlap = (a, b) => {
  const inter = intersection(a, b, 0);
  return inter / (area(a, 0) + area(b, 0) - inter);
};

/** Intersection over the smaller box; edges are pixels and belong to the box (MATLAB's convention). */
const overSmaller: Overlap = (a, b) => intersection(a, b, 1) / Math.min(area(a, 1), area(b, 1));

function area(box: Box, edge: number): number {
  return float(float(box.x2 - box.x1 + edge) * float(box.y2 - box.y1 + edge));
}

function intersection(a: Box, b: Box, edge: number): number {
  const width = Math.max(0, Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1) + edge);
  const height = Math.max(0, Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1) + edge);
  return float(float(width) * float(height));
}

/**
 * Non-maximum suppression: boxes by falling score, without those that overlap a better one by more than the threshold.
 * @param variant `union`: intersection over union, of equal scores the first wins; `smaller`: intersection over the
 *   smaller of the two, so that a box inside another goes too, and of equal scores the last wins
 * @returns indices into `boxes`
 */
export function suppress(boxes: readonly Box[], threshold: number, variant: 'union' | 'smaller' = 'union'): number[] {
  const overlap = variant === 'union' ? overUnion : overSmaller;
  const order = boxes
    .map((_, i) => i)
    .sort((i, j) => boxes[j].score - boxes[i].score || (variant === 'union' ? i - j : j - i));
  const picked: number[] = [];
  for (const i of order) {
    if (picked.every((j) => !(float(overlap(boxes[j], boxes[i])) > threshold))) picked.push(i);
  }
  return picked;
}

/** Moves the edges of a proposal by its corrections, in shares of its width and height. */
export function regressProposal(box: Box): Box {
  return regress(box, 0);
}

/** The same for R-Net's and O-Net's corrections, whose widths count both edge pixels. */
export function regressCrop(box: Box): Box {
  return regress(box, 1);
}

function regress(box: Box, edge: number): Box {
  const width = float(box.x2 - box.x1 + edge);
  const height = float(box.y2 - box.y1 + edge);
  const [left, top, right, bottom] = box.regression;
  return {
    ...box,
    x1: float(box.x1 + float(left * width)),
    y1: float(box.y1 + float(top * height)),
    x2: float(box.x2 + float(right * width)),
    y2: float(box.y2 + float(bottom * height)),
  };
}

/** The square of the longer side around the same middle. */
export function toSquare(box: Box): Box {
  const width = float(box.x2 - box.x1);
  const height = float(box.y2 - box.y1);
  const side = Math.max(width, height);
  const x1 = float(float(box.x1 + float(width * 0.5)) - float(side * 0.5));
  const y1 = float(float(box.y1 + float(height * 0.5)) - float(side * 0.5));
  return { ...box, x1, y1, x2: float(x1 + side), y2: float(y1 + side) };
}

/** A rectangle of whole pixels: columns `left` to `right` - 1, rows `top` to `bottom` - 1. */
export interface PixelBox {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The pixels of a box that lie in the image (edges count from 1, cut towards 0); undefined when there are none. */
export function pixelsOf(box: Box, width: number, height: number): PixelBox | undefined {
  const left = Math.max(1, Math.trunc(box.x1)) - 1;
  const top = Math.max(1, Math.trunc(box.y1)) - 1;
  const right = Math.min(width, Math.trunc(box.x2));
  const bottom = Math.min(height, Math.trunc(box.y2));
  return right > left && bottom > top ? { left, top, right, bottom } : undefined;
}
