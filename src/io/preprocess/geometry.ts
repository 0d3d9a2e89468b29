/** Sizes, crops and borders as the published image processors have them. */
import type { Image } from '../images';

/** How the new size follows from the image's own; the fields are those of a `preprocessor_config.json`. */
export type SizeRule =
  | { readonly height: number; readonly width: number }
  /** The shorter side gets this length, the longer one keeps the proportion (cut to a whole number). */
  | { readonly shortest_edge: number; readonly longest_edge?: number }
  /** Janus: the longer side gets this length, neither side less than `min_size`; lengths are rounded, or `cut`. */
  | { readonly square: number; readonly min_size: number; readonly cut?: boolean };

/** Rounds halves to even, as Python does. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** @returns `[width, height]` after resizing */
export function targetSize(width: number, height: number, rule: SizeRule): [width: number, height: number] {
  if ('height' in rule) return [rule.width, rule.height];
  if ('square' in rule) {
    const longest = Math.max(width, height);
    const side = (length: number): number =>
      Math.max(
        rule.cut ? Math.trunc((length / longest) * rule.square) : roundHalfEven(length * (rule.square / longest)),
        rule.min_size,
      );
    return [side(width), side(height)];
  }
  const short = Math.min(width, height);
  const long = Math.max(width, height);
  let wanted = rule.shortest_edge;
  let exact = wanted;
  if (rule.longest_edge !== undefined && (long / short) * wanted > rule.longest_edge) {
    exact = (rule.longest_edge * short) / long;
    wanted = roundHalfEven(exact);
  }
  if (short === wanted && rule.longest_edge !== undefined) return [width, height];
  const other = Math.trunc((exact * long) / short);
  return width <= height ? [wanted, other] : [other, wanted];
}

/** A part of the image; what lies outside it is black. */
function window(image: Image, left: number, top: number, width: number, height: number): Image {
  const rgb = new Uint8Array(width * height * 3);
  const from = Math.max(0, left);
  const end = Math.min(image.width, left + width);
  for (let y = Math.max(0, top); y < Math.min(image.height, top + height) && from < end; y++) {
    const row = image.rgb.subarray((y * image.width + from) * 3, (y * image.width + end) * 3);
    rgb.set(row, ((y - top) * width + from - left) * 3);
  }
  return { width, height, rgb };
}

/** The middle of the image; an image that is too small gets a black border. Odd differences: the upper left middle. */
export function centreCrop(image: Image, width: number, height: number): Image {
  return window(image, Math.floor((image.width - width) / 2), Math.floor((image.height - height) / 2), width, height);
}

/** The image in the middle of a square of its longer side. */
export function padToSquare(image: Image, color: readonly [number, number, number]): Image {
  const side = Math.max(image.width, image.height);
  if (image.width === image.height) return image;
  const rgb = new Uint8Array(side * side * 3);
  for (let i = 0; i < rgb.length; i++) rgb[i] = color[i % 3];
  const left = Math.floor((side - image.width) / 2);
  const top = Math.floor((side - image.height) / 2);
  for (let y = 0; y < image.height; y++) {
    const row = image.rgb.subarray(y * image.width * 3, (y + 1) * image.width * 3);
    rgb.set(row, ((y + top) * side + left) * 3);
  }
  return { width: side, height: side, rgb };
}
