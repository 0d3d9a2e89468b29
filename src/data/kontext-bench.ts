/** Kontext-Bench (Black Forest Labs 2025, arXiv 2506.15742), a folder of images with `metadata.jsonl`. */
import path from 'node:path';
import * as z from 'zod';
import { imageFile } from './item-images';
import { type Read, readItems } from './items';
import { readJsonLines } from './text-files';

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
