/** Images through an image tokenizer, a few at a time: its memory is that of one pass, however many images there are. */
import { readValues, tf } from '../engine';
import { type Image, imagesToTensor } from '../io';
import { partsOf } from '../nn/buckets';
import type { ImageTokenizer } from './unified';

/**
 * Pixels of a pass: 64 images of 64 x 64, one of 512 x 512. At the published widths a convolutional coder holds so many
 * numbers a pixel that a few images at once are most of what a step needs.
 */
const PIXELS = 2 ** 18;

/** How many images of a size go through at once, at least 1. */
export const imagesAPass = (width: number, height: number) => Math.max(1, Math.floor(PIXELS / (width * height)));

/**
 * Codes of each image.
 * @param images of one size
 * @param encode pixels `[images, height, width, 3]` in [-1, 1] -> int32, as many numbers for each image
 */
export function encodeInPasses(images: readonly Image[], encode: (pixels: tf.Tensor4D) => tf.Tensor): Int32Array[] {
  if (images.length === 0) return [];
  return partsOf(images, imagesAPass(images[0].width, images[0].height)).flatMap((part) => {
    const flat = readValues<'int32'>(() => encode(imagesToTensor(part)));
    const count = flat.length / part.length;
    return part.map((_, i) => flat.slice(i * count, (i + 1) * count));
  });
}

/**
 * Pixels `[images, height, width, 3]`, about [-1, 1], not clipped.
 * @param codes of images of one grid, one at least @param grid default: the tokenizer's
 */
export function decodeInPasses(
  tokenizer: ImageTokenizer,
  codes: readonly ArrayLike<number>[],
  grid: readonly [rows: number, columns: number] = tokenizer.grid,
): tf.Tensor4D {
  const [height, width] = grid.map((side) => side * tokenizer.stride);
  return tf.tidy(() => {
    const parts = partsOf(codes, imagesAPass(width, height)).map((part) => tokenizer.decode(part, grid));
    return parts.length === 1 ? parts[0] : tf.concat(parts);
  });
}
