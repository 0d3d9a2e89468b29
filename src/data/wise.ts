/** WISE (Niu et al. 2025, arXiv 2503.07265): 1,000 prompts that take knowledge of the world to draw. From the user's copy. */
import path from 'node:path';
import * as z from 'zod';
import { orError, readItems, type Reading } from './items';
import { readJsonArray } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { ruleColumn } from './columns';
import { type ChatJudge, replyValue } from './judges';
import { wiseRubric } from './rubrics';
import { wise, type WiseCategory, type WiseMarks, type WiseRecord, wiScore } from './rules/wise';

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

export const WISE_FILES = [
  'cultural_common_sense.json',
  'spatio-temporal_reasoning.json',
  'natural_science.json',
] as const;

/** Reads the three files of a folder. An id that occurs in two of them is an error. @param files default: all three */
export function readWise(folder: string, files: readonly string[] = WISE_FILES): Reading<WiseItem> {
  async function* records() {
    for (const file of files) yield* orError(readJsonArray(path.join(folder, file)));
  }
  return readItems(records(), {
    schema: row,
    make: ({
      Prompt: prompt,
      Explanation: explanation,
      Category: category,
      Subcategory: subcategory,
      prompt_id: id,
    }) => ({
      id,
      prompt,
      explanation,
      category,
      subcategory,
    }),
    id: ({ id }) => String(id),
  });
}

const CATEGORIES: readonly WiseCategory[] = ['CULTURE', 'TIME', 'SPACE', 'BIOLOGY', 'PHYSICS', 'CHEMISTRY'];

/** An item as it is asked. */
export interface WiseAsk extends BenchmarkItem {
  readonly item: WiseItem;
}

/** The judge's marks of every image, and the mean of their scores. */
export interface WiseDetail {
  readonly record: WiseRecord;
  readonly marks: readonly WiseMarks[];
}

/** Columns: WiScore of the six categories and their weighted sum; 0 to 1. The paper's judge is GPT-4o. */
export function wiseBenchmark(folder: string, judge: ChatJudge): Benchmark<WiseAsk, WiseDetail> {
  const summary = (items: readonly { readonly detail: WiseDetail }[]) => wise(items.map(({ detail }) => detail.record));
  return {
    name: 'wise',
    judges: [judge.name],
    columns: [
      ...CATEGORIES.map((category) =>
        ruleColumn<WiseDetail>(
          category.toLowerCase(),
          () => true,
          (items) => summary(items).categories.get(category),
        ),
      ),
      ruleColumn<WiseDetail>(
        'overall',
        () => true,
        (items) => summary(items).overall,
      ),
    ],
    async *items() {
      for await (const read of readWise(folder))
        yield 'error' in read
          ? read
          : { item: { id: String(read.item.id), item: read.item, ask: { kind: 'image', prompt: read.item.prompt } } };
    },
    async score({ item }, { images }) {
      const requests = images.map((image) => wiseRubric.request(image, item.prompt, item.explanation));
      const marks = (await judge.ask(requests, wiseRubric.read)).map(replyValue);
      const score = marks.length === 0 ? 0 : marks.map(wiScore).reduce((a, b) => a + b, 0) / marks.length;
      return { scores: { wiscore: score }, detail: { record: { promptId: item.id, score }, marks } };
    },
  };
}

/** WISE as a task. */
export const wiseTask = (folder: string, judge: ChatJudge) => new BenchmarkTask(wiseBenchmark(folder, judge));
