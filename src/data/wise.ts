/** WISE (Niu et al. 2025, arXiv 2503.07265): 1,000 prompts that take knowledge of the world to draw. From the user's copy. */
import path from 'node:path';
import * as z from 'zod';
import { orError, readItems, type Reading } from './items';
import { readJsonArray } from './text-files';

export interface WiseItem {
  /** 1 to 1000; it decides the category of the score. */
  readonly id: number;
  readonly prompt: string;
  /** What the image should show, for the judge. */
  readonly explanation: string;
  readonly category: string;
  readonly subcategory: string;
}

const row = z.object({
  Prompt: z.string().trim().min(1),
  Explanation: z.string().trim().min(1),
  Category: z.string(),
  Subcategory: z.string(),
  prompt_id: z.int().min(1).max(1000),
});

export const WISE_FILES = ['cultural_common_sense.json', 'spatio-temporal_reasoning.json', 'natural_science.json'] as const;

/** Reads the three files of a folder. An id that occurs in two of them is an error. @param files default: all three */
export function readWise(folder: string, files: readonly string[] = WISE_FILES): Reading<WiseItem> {
  async function* records() {
    for (const file of files) yield* orError(readJsonArray(path.join(folder, file)));
  }
  return readItems(records(), {
    schema: row,
    make: ({ Prompt: prompt, Explanation: explanation, Category: category, Subcategory: subcategory, prompt_id: id }) => ({
      id,
      prompt,
      explanation,
      category,
      subcategory,
    }),
    id: ({ id }) => String(id),
  });
}
