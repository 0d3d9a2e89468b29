/** Subjects200K (Tan et al. 2024, OminiControl, arXiv 2411.15098): one subject twice, side by side in one image, with a text each. */
import * as z from 'zod';
import type { Image } from '../io';
import { imageBytes, type ItemImage } from './item-images';
import { readItems, type Reading } from './items';
import { embeddedImage } from './mmmu';
import { readParquet } from './parquet';

export interface SubjectPairItem {
  readonly id: string;
  readonly subject: string;
  /** Both halves; see {@link subjectPair}. */
  readonly image: ItemImage;
  /** Of the left half, and of the right one. */
  readonly captions: readonly [string, string];
  /** Marks of a language model, 0 to 5, where the pair was judged. */
  readonly quality?: { readonly compositeStructure: number; readonly objectConsistency: number; readonly imageQuality: number };
}

const mark = z.coerce.number().int().min(0).max(5);

const row = z.object({
  image: embeddedImage,
  collection: z.string(),
  quality_assessment: z
    .object({ compositeStructure: mark, objectConsistency: mark, imageQuality: mark })
    .nullish(),
  description: z.object({
    item: z.string().min(1),
    description_0: z.string().min(1),
    description_1: z.string().min(1),
  }),
});

/** Reads one Parquet file. */
export function readSubjects200K(file: string): Reading<SubjectPairItem> {
  const columns = ['image', 'collection', 'description'];
  return readItems(readParquet(file, { columns, optional: ['quality_assessment'] }), {
    schema: row,
    make: async ({ image, collection, quality_assessment: quality, description }, { where }) => ({
      id: `${collection}, ${where}`,
      subject: description.item,
      image: await imageBytes(image.bytes),
      captions: [description.description_0, description.description_1] as const,
      quality: quality ?? undefined,
    }),
  });
}

/** Cuts the two images apart. Each half has a white border of 8 pixels, so that 16 lie between them. */
export function subjectPair(both: Image, border = 8): readonly [Image, Image] {
  const half = both.width / 2;
  if (!Number.isInteger(half) || half <= 2 * border || both.height <= 2 * border)
    throw new RangeError(`an image of ${both.width} x ${both.height} does not hold two with a border of ${border} pixels`);
  return [crop(both, border, border, half), crop(both, half + border, border, half)];
}

function crop(image: Image, left: number, border: number, half: number): Image {
  const width = half - 2 * border;
  const height = image.height - 2 * border;
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((y + border) * image.width + left) * 3;
    rgb.set(image.rgb.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, rgb };
}
