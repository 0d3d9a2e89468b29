/** T2I-CompBench++ (Huang et al. 2023, arXiv 2307.06350): 300 validation prompts in each of eight categories. */
import path from 'node:path';
import * as z from 'zod';
import { inTurn, readItems, type Reading } from './items';
import { readLines } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanColumn } from './columns';
import { type ChatJudge, replyValue } from './judges';
import { alignmentRubric } from './rubrics';

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

/**
 * Columns: the eight categories, 0 to 1, by a judge that says how well an image fits its prompt. The published scores
 * come from BLIP-VQA, UniDet and CLIP, category by category: these stand in for them.
 */
export function t2iCompBenchmark(
  folder: string,
  judge: ChatJudge,
  categories: readonly T2ICategory[] = T2I_CATEGORIES,
): Benchmark<BenchmarkItem & { readonly item: T2ICompBenchItem }> {
  return {
    name: 't2i-compbench',
    judges: [judge.name],
    columns: categories.map((category) => meanColumn(category)),
    async *items() {
      for await (const read of readT2ICompBench(folder, categories))
        yield 'error' in read
          ? read
          : { item: { id: read.item.id, item: read.item, ask: { kind: 'image', prompt: read.item.prompt } } };
    },
    async score({ item }, { images }) {
      const requests = images.map((image) => alignmentRubric.request(image, item.prompt));
      const marks = (await judge.ask(requests, alignmentRubric.read)).map(replyValue);
      const score = marks.length === 0 ? 0 : marks.reduce((a, b) => a + b, 0) / marks.length;
      return { scores: { [item.category]: score }, detail: marks };
    },
  };
}

/** T2I-CompBench as a task. */
export const t2iCompTask = (folder: string, judge: ChatJudge) => new BenchmarkTask(t2iCompBenchmark(folder, judge));
