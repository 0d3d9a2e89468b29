/** Photographs of any size as a model sees images: each backbone takes its own size alone. */
import { centreCrop, type Image, padToSquare, resampleImage } from '../io';
import type { UnifiedModel } from '../models/unified';

/**
 * `crop`: the middle of the image, scaled to fill the model's size (Show-o, Chameleon). `pad`: all of it, on a gray
 * square (Janus).
 */
export const FITS = ['crop', 'pad'] as const;
export type Fit = (typeof FITS)[number];

const GRAY = [127, 127, 127] as const;

/** An image of the model's size; one that has it already is returned as it is. */
export function fitImage({ imageTokenizer }: Pick<UnifiedModel, 'imageTokenizer'>, image: Image, fit: Fit): Image {
  const [height, width] = imageTokenizer.grid.map((codes) => codes * imageTokenizer.stride);
  if (image.width === width && image.height === height) return image;
  const whole = fit === 'pad' ? padToSquare(image, GRAY) : image;
  const scale = Math.max(width / whole.width, height / whole.height);
  const side = (length: number, least: number) => Math.max(least, Math.round(length * scale));
  const scaled = resampleImage(whole, side(whole.width, width), side(whole.height, height));
  return centreCrop(scaled, width, height);
}
