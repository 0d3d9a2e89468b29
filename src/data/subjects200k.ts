/** Subjects200K (Tan et al. 2024, OminiControl, arXiv 2411.15098): one subject twice, side by side in one image, with a text each. */
import * as z from 'zod';
import type { Image } from '../io';
import { imageBytes, type ItemImage, loadItemImage } from './item-images';
import { readItems, type Reading } from './items';
import { embeddedImage } from './mmmu';
import { readParquet } from './parquet';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanColumn } from './columns';
import type { ImageScorer } from './judges';
import { imageScores } from './score-images';

export interface SubjectPairItem {
  readonly id: string;
  readonly subject: string;
  /** Both halves; see {@link subjectPair}. */
  readonly image: ItemImage;
  /** Of the left half, and of the right one. */
  readonly captions: readonly [string, string];
  /** Marks of a language model, 0 to 5, where the pair was judged. */
  readonly quality?: {
    readonly compositeStructure: number;
    readonly objectConsistency: number;
    readonly imageQuality: number;
  };
}

const mark = z.coerce.number().int().min(0).max(5);

const row = z.object({
  image: embeddedImage,
  collection: z.string(),
  quality_assessment: z.object({ compositeStructure: mark, objectConsistency: mark, imageQuality: mark }).nullish(),
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
    throw new RangeError(
      `an image of ${both.width} x ${both.height} does not hold two with a border of ${border} pixels`,
    );
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

/** The right half drawn again from its text, with the left half as reference. No paper's table: for held-out pairs. */
export function subjects200kBenchmark(file: string, scorers: readonly ImageScorer[]): Benchmark {
  return {
    name: 'subjects200k',
    judges: scorers.map(({ name }) => name),
    columns: [...scorers.map(({ name }) => meanColumn(name)), meanColumn('drawn')],
    holdsImages: true,
    async *items() {
      for await (const read of readSubjects200K(file)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id, image, captions, subject } = read.item;
        const references = async () => [subjectPair(await loadItemImage(image))[0]];
        yield {
          item: {
            id,
            cluster: subject,
            ask: { kind: 'image', prompt: captions[1], references },
          } satisfies BenchmarkItem,
        };
      }
    },
    async score({ ask }, { images }) {
      if (ask.kind !== 'image') throw new TypeError('Subjects200K asks for images');
      const references = (await ask.references?.()) ?? [];
      return { scores: await imageScores(scorers, images, ask.prompt, references), detail: null };
    },
  };
}

/** Subjects200K as a task. */
export const subjects200kTask = (file: string, scorers: readonly ImageScorer[]) =>
  new BenchmarkTask(subjects200kBenchmark(file, scorers));
