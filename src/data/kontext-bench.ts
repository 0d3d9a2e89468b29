/** Kontext-Bench (Black Forest Labs 2025, arXiv 2506.15742), a folder of images with `metadata.jsonl`. */
import path from 'node:path';
import * as z from 'zod';
import { imageFile, loadItemImage } from './item-images';
import { type Read, readItems } from './items';
import { readJsonLines } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanByCluster } from './columns';
import type { ImageScorer } from './judges';
import { imageScores } from './score-images';

export interface KontextItem {
  /** The image's file name, and the line: one image may stand in several. */
  readonly id: string;
  /** Absolute path. */
  readonly image: string;
  readonly instruction: string;
  readonly category: string;
}

const row = z.object({
  file_name: z.string().min(1),
  instruction: z.string().trim().min(1),
  category: z.string(),
  key: z.int().min(0).optional(),
});

/**
 * Reads `metadata.jsonl` of a folder (upstream: `test`), image paths from there.
 * @param category only these; MM-R1 asks for `Character Reference`. Default: all
 */
export async function* readKontextBench(folder: string, category?: string): AsyncGenerator<Read<KontextItem>> {
  const items = readItems(readJsonLines(path.join(folder, 'metadata.jsonl')), {
    schema: row,
    make: async ({ file_name: name, instruction, category: found, key }, { where }): Promise<KontextItem> => ({
      id: String(key ?? `${name}, ${where}`),
      image: await imageFile(folder, name, 'file_name'),
      instruction,
      category: found,
    }),
    id: ({ id }) => id,
  });
  for await (const read of items)
    if ('error' in read || category === undefined || read.item.category === category) yield read;
}

/** MM-R1's part of the set: a character in a new scene. */
export const CHARACTER_REFERENCE = 'Character Reference';

/** Columns: each scorer's mean by reference image. @param category default: `Character Reference`, as MM-R1 evaluates */
export function kontextBenchmark(
  folder: string,
  scorers: readonly ImageScorer[],
  category: string = CHARACTER_REFERENCE,
): Benchmark {
  return {
    name: 'kontext',
    judges: scorers.map(({ name }) => name),
    columns: [...scorers.map(({ name }) => meanByCluster(name)), meanByCluster('drawn')],
    async *items() {
      for await (const read of readKontextBench(folder, category)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id, image, instruction } = read.item;
        const references = async () => [await loadItemImage(image)];
        yield {
          item: {
            id,
            cluster: image,
            subject: image,
            ask: { kind: 'image', prompt: instruction, references },
          } satisfies BenchmarkItem,
        };
      }
    },
    async score({ ask }, { images }) {
      if (ask.kind !== 'image') throw new TypeError('Kontext-Bench asks for images');
      const references = (await ask.references?.()) ?? [];
      return { scores: await imageScores(scorers, images, ask.prompt, references), detail: null };
    },
  };
}

/** Kontext-Bench as a task. */
export const kontextTask = (folder: string, scorers: readonly ImageScorer[]) =>
  new BenchmarkTask(kontextBenchmark(folder, scorers));
