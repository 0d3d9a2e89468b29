/** Ways to break a set of text files: by editing one, cutting it, changing an image. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { type Breakage, bombBytes, cut, pngBytes, put, replaceIn, type Variant } from './broken-sets';

type Edit = readonly [from: string, to: string];

/** Variants by editing one file's text; those about images by changing one image. */
export function edits(
  file: string,
  image: string | undefined,
  changes: Readonly<Partial<Record<Variant, readonly [...Edit, RegExp, number]>>>,
  cutting: readonly [bytes: number, RegExp, number],
  left: number,
): Record<Variant, Breakage> {
  const edited = Object.entries(changes).map(([variant, [from, to, says, rest]]) => [
    variant,
    { change: (folder: string) => replaceIn(folder, file, from, to), says, left: rest },
  ]);
  return {
    'missing image': {
      change: (folder) => rmSync(path.join(folder, image ?? '')),
      says: /there is no image|no test images/,
      left,
    },
    'decompression bomb': {
      change: (folder) => put(folder, image ?? '', bombBytes),
      says: /60000 x 60000 pixels, more than/,
      left,
    },
    'truncated file': { change: (folder) => cut(folder, file, cutting[0]), says: cutting[1], left: cutting[2] },
    ...Object.fromEntries(edited),
  } as Record<Variant, Breakage>;
}

export const png = (folder: string, ...names: string[]) => names.forEach((name) => put(folder, name, pngBytes));
export const noText = /should be a text/;
export const twice = /was there before/;
export const outside = /leads out of the folder/;
export const spoilt = /not UTF-8 text/;
export const slashes = /instead of '\/'/;
export const tooFew = /at least/;
