/**
 * A face turned to a standard position: the similarity transform that brings its five landmarks nearest to a template
 * (Umeyama 1991), then a bilinear crop. UniCTokens-R1 asks for it; facenet-pytorch itself cuts the upright box.
 */
import type { Image } from '../../../io';
import type { DetectedFace } from './face';

type Point = readonly [x: number, y: number];

/** ArcFace's template for 112 x 112 pixels (InsightFace), in MTCNN's order: eyes, nose, corners of the mouth. */
const TEMPLATE: readonly Point[] = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];
const TEMPLATE_SIDE = 112;

/** Below these a face has no extent, or its landmarks say nothing about scale. Square pixels, and a ratio. */
const LEAST_SPREAD = 1e-6;
const LEAST_SCALE = 1e-6;

/** `x' = a x - b y + tx`, `y' = b x + a y + ty`: from image to crop, pixels. */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly tx: number;
  readonly ty: number;
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/**
 * The transform of least squares; all landmarks weigh the same, none is mirrored.
 * @param size side of the crop, pixels; the template is scaled to it
 * @throws RangeError for other than five finite landmarks, for landmarks in one place, and for a fit without scale
 */
export function alignment(landmarks: DetectedFace['landmarks'], size = 160): Similarity {
  if (landmarks.length !== TEMPLATE.length || !landmarks.flat().every(Number.isFinite))
    throw new RangeError(`a face is aligned by five finite landmarks, got ${JSON.stringify(landmarks)}`);
  const target = TEMPLATE.map(([x, y]): Point => [(x * size) / TEMPLATE_SIDE, (y * size) / TEMPLATE_SIDE]);
  const center = (points: readonly Point[]): Point => [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const [from, to] = [center(landmarks), center(target)];
  const sums = { spread: 0, along: 0, across: 0 };
  landmarks.forEach(([x, y], i) => {
    const [px, py, qx, qy] = [x - from[0], y - from[1], target[i][0] - to[0], target[i][1] - to[1]];
    sums.spread += px * px + py * py;
    sums.along += px * qx + py * qy;
    sums.across += px * qy - py * qx;
  });
  if (!(sums.spread / landmarks.length >= LEAST_SPREAD))
    throw new RangeError('the landmarks of the face lie in one place');
  const [a, b] = [sums.along / sums.spread, sums.across / sums.spread];
  if (!(Math.hypot(a, b) >= LEAST_SCALE)) throw new RangeError('the landmarks of the face fit no position of a face');
  return { a, b, tx: to[0] - a * from[0] + b * from[1], ty: to[1] - b * from[0] - a * from[1] };
}

/**
 * The crop's values `[size, size, 3]`, 0 to 255, not rounded: each pixel takes the image where the inverse transform puts
 * it, between the four neighbors (pixel centers at whole numbers, as OpenCV); what lies outside the image is 0.
 */
export function warp({ width, height, rgb }: Image, { a, b, tx, ty }: Similarity, size: number): Float32Array {
  const out = new Float32Array(size * size * 3);
  const square = a * a + b * b;
  const at = (x: number, y: number, channel: number): number =>
    x >= 0 && x < width && y >= 0 && y < height ? rgb[(y * width + x) * 3 + channel] : 0;
  for (let i = 0; i < size * size; i++) {
    const [dx, dy] = [(i % size) - tx, Math.floor(i / size) - ty];
    const [x, y] = [(a * dx + b * dy) / square, (a * dy - b * dx) / square];
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const [fx, fy] = [x - left, y - top];
    for (let c = 0; c < 3; c++) {
      const above = at(left, top, c) * (1 - fx) + at(left + 1, top, c) * fx;
      const below = at(left, top + 1, c) * (1 - fx) + at(left + 1, top + 1, c) * fx;
      out[i * 3 + c] = above * (1 - fy) + below * fy;
    }
  }
  return out;
}

/** The aligned face, `size` x `size` (default 160, what FaceNet was trained on). @throws RangeError as {@link alignment} */
export function alignFace(image: Image, landmarks: DetectedFace['landmarks'], size = 160): Image {
  const values = warp(image, alignment(landmarks, size), size);
  return { width: size, height: size, rgb: Uint8Array.from(values, (v) => Math.floor(v + 0.5)) };
}
