/** T2I-CompBench++ (Huang et al. 2023, arXiv 2307.06350): 300 validation prompts in each of eight categories. */
import path from 'node:path';
import * as z from 'zod';
import { inTurn, readItems, type Reading } from './items';
import { readLines } from './text-files';

export const T2I_CATEGORIES = [
  'color',
  'shape',
  'texture',
  'spatial',
  '3d_spatial',
  'numeracy',
  'non_spatial',
  'complex',
] as const;
export type T2ICategory = (typeof T2I_CATEGORIES)[number];

export interface T2ICompBenchItem {
  /** `color-1`: the category, and the line of its file. */
  readonly id: string;
  readonly category: T2ICategory;
  readonly prompt: string;
}

/** Reads `CATEGORY_val.txt` of a folder, a prompt a line. @param categories default: all */
export function readT2ICompBench(
  folder: string,
  categories: readonly T2ICategory[] = T2I_CATEGORIES,
): Reading<T2ICompBenchItem> {
  return inTurn(
    categories.map((category) =>
      readItems(readLines(path.join(folder, `${category}_val.txt`)), {
        schema: z.string(),
        make: (prompt, { where }) => ({ id: where.replace('line ', `${category}-`), category, prompt: prompt.trim() }),
      }),
    ),
  );
}
