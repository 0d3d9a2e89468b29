/** Codes as pixels, for whoever looks at many images again and again. */
import { runTraced, tf } from '../engine';
import { evenPart, partsOf } from '../nn/buckets';
import { imagesAPass } from './passes';
import type { ImageTokenizer } from './unified';

/** Images of a pass, of small ones: more take as long one by one as all at once, and one shape serves however many there are. */
const MOST = 12;

/**
 * Pixels `[images, height, width, 3]` in [-1, 1], the caller's to dispose.
 * @param codes of images of one grid, one at least @param grid default: the tokenizer's
 */
export function decodedPixels(
  tokenizer: ImageTokenizer,
  codes: readonly ArrayLike<number>[],
  grid: readonly [rows: number, columns: number] = tokenizer.grid,
): tf.Tensor4D {
  const [height, width] = grid.map((side) => side * tokenizer.stride);
  const size = evenPart(codes.length, Math.min(MOST, imagesAPass(width, height)));
  return tf.tidy(() => {
    const parts = partsOf(codes, size).map((part) => {
      const whole = [...part, ...Array.from({ length: size - part.length }, () => part[0])];
      const pixels = runTraced(tokenizer, 'decoded images', () =>
        tf.clipByValue<tf.Tensor4D>(tokenizer.decode(whole, grid), -1, 1),
      );
      return part.length === size ? pixels : tf.slice4d(pixels, [0, 0, 0, 0], [part.length, -1, -1, -1]);
    });
    return parts.length === 1 ? parts[0] : tf.concat(parts);
  });
}
