/**
 * Resampling by area, as PyTorch's `interpolate(mode='area')` does it: every new pixel is the mean of the old pixels
 * that its rectangle touches. Sums of rectangles come from one table, so that any number of crops costs little.
 */
import type { Image } from '../../../io';
import type { PixelBox } from './boxes';

/** An image whose rectangles can be summed in four look-ups a channel. */
export class AreaTable {
  /** `[height + 1, width + 1, 3]`: sums of what lies above and to the left, modulo 2^32; differences of them are exact. */
  private readonly sums: Uint32Array;

  /** @throws RangeError for an image without pixels, or with another number of bytes than its size says */
  constructor(readonly image: Image) {
    const { width, height, rgb } = image;
    if (!(width > 0 && height > 0) || rgb.length !== width * height * 3)
      throw new RangeError(`a ${width} x ${height} image needs ${width * height * 3} bytes of RGB, got ${rgb.length}`);
    const row = (width + 1) * 3;
    const sums = new Uint32Array((height + 1) * row);
    for (let y = 0; y < height; y++) {
      const here = [0, 0, 0];
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < 3; c++) {
          here[c] += rgb[(y * width + x) * 3 + c];
          const at = (y + 1) * row + (x + 1) * 3 + c;
          sums[at] = sums[at - row] + here[c];
        }
      }
    }
    this.sums = sums;
  }

  /**
   * A part of the image in another size, as (value - 127.5) / 128.
   * @param out takes `rows * columns * 3` numbers from `at` on, row by row
   */
  resample(box: PixelBox, rows: number, columns: number, out: Float32Array, at = 0): void {
    const { sums } = this;
    const row = (this.image.width + 1) * 3;
    const ys = edges(box.top, box.bottom, rows);
    const xs = edges(box.left, box.right, columns);
    let to = at;
    for (let i = 0; i < rows; i++) {
      const [top, bottom] = [ys[2 * i], ys[2 * i + 1]];
      for (let j = 0; j < columns; j++) {
        const [left, right] = [xs[2 * j], xs[2 * j + 1]];
        const count = (bottom - top) * (right - left);
        for (let c = 0; c < 3; c++) {
          const above = sums[top * row + right * 3 + c] - sums[top * row + left * 3 + c];
          const below = sums[bottom * row + right * 3 + c] - sums[bottom * row + left * 3 + c];
          out[to++] = (((below - above) >>> 0) / count - 127.5) / 128;
        }
      }
    }
  }
}

/** First and end pixel of each of `parts` stretches of `from` .. `to` - 1; neighbors share the pixel that they divide. */
function edges(from: number, to: number, parts: number): Int32Array {
  const size = to - from;
  const out = new Int32Array(2 * parts);
  for (let i = 0; i < parts; i++) {
    out[2 * i] = from + Math.floor((i * size) / parts);
    out[2 * i + 1] = from + Math.ceil(((i + 1) * size) / parts);
  }
  return out;
}
