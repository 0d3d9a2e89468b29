/** Boxes of images. */
import type { Image } from '../../io';

/** What is in a box, at least one pixel. */
export function cropped({ width, height, rgb }: Image, box: readonly [number, number, number, number]): Image {
  const clip = (value: number, most: number) => Math.min(most, Math.max(0, Math.floor(value)));
  const [left, top] = [clip(box[0], width - 1), clip(box[1], height - 1)];
  const w = Math.max(1, clip(box[2], width) - left);
  const h = Math.max(1, clip(box[3], height) - top);
  const out = new Uint8Array(w * h * 3);
  for (let y = 0; y < h; y++) {
    const from = ((top + y) * width + left) * 3;
    out.set(rgb.subarray(from, from + w * 3), y * w * 3);
  }
  return { width: w, height: h, rgb: out };
}
