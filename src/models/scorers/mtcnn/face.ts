/** What detection gives. */

/** One face. Coordinates are pixels, x to the right and y down. */
export interface DetectedFace {
  /** x1, y1, x2, y2. */
  readonly box: readonly [number, number, number, number];
  /** How sure O-Net is, in (0, 1). */
  readonly probability: number;
  /** Eye, eye, nose, corner and corner of the mouth (those on the left of the image first), each [x, y]. */
  readonly landmarks: readonly (readonly [number, number])[];
}
