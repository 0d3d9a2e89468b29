/**
 * The data of CoRL (Jiang et al. 2025, arXiv 2505.17534, Sec. 3.2 and 4.1): x2x_rft (22k unified, 16k refined), and mcot_r1
 * for refined understanding, multiple choice and open ended. Parquet files with the images in them, or JSON lines beside
 * image files.
 */
import path from 'node:path';
import * as z from 'zod';
import { imageBytes, imageFile, type ItemImage } from './item-images';
import { type ItemReader, type RawRecord, readItems, type Reading } from './items';
import { embeddedImage } from './mmmu';
import { readParquet } from './parquet';
import type { QuestionItem } from './question-item';
import { readJsonLines } from './text-files';

/** One unified example: an image, the prompt that it answers, and a question about it. */
export interface X2xItem {
  readonly id: string;
  readonly realImage: ItemImage;
  readonly prompt: string;
  readonly question: string;
  readonly answer: string;
  /** `mcq`, `open`, ... as the set says. */
  readonly questionType: string;
}

const image = z.union([z.string().min(1), embeddedImage]);

const unified = z.object({
  real_image: image,
  prompt: z.string().trim().min(1),
  qa_problem: z.string().trim().min(1),
  qa_solution: z.string().trim().min(1),
  qa_type: z.string(),
});

const question = z.object({ image, problem: z.string().trim().min(1), solution: z.string().trim().min(1) });

/** Reads x2x_rft_22k or 16k. @param file `.parquet`, or `.jsonl` whose `real_image` is a path from the file's folder */
export function readX2xRft(file: string): Reading<X2xItem> {
  return readRows(file, unified, async (found, where) => ({
    id: where,
    realImage: await imageOf(file, found.real_image, 'real_image'),
    prompt: found.prompt,
    question: found.qa_problem,
    answer: found.qa_solution,
    questionType: found.qa_type,
  }));
}

/**
 * Reads mcot_r1: `problem` and `solution`, the solution with or without `<answer>` around it.
 * @param form `mcq`: the answer is a letter, the choices stand in the problem; `open`: any text
 */
export function readMcotR1(file: string, form: 'mcq' | 'open'): Reading<QuestionItem> {
  const answer = z.string().regex(/^[A-I]$/, 'should be the letter of a choice');
  const schema = question.transform((found) => ({ ...found, solution: bare(found.solution) }));
  const checked = form === 'open' ? schema : schema.pipe(question.extend({ solution: answer }));
  return readRows(file, checked, async (found, where) => ({
    id: where,
    images: [await imageOf(file, found.image, 'image')],
    question: found.problem,
    answer: found.solution,
    choices: {},
  }));
}

const bare = (solution: string): string => /<answer>\s*([\s\S]*?)\s*<\/answer>/.exec(solution)?.[1] ?? solution;

function readRows<S extends z.ZodType, T>(
  file: string,
  schema: S,
  make: (value: z.output<S>, where: string) => Promise<T>,
): Reading<T> {
  const reader: ItemReader<S, T> = { schema, make: (value, { where }) => make(value, where) };
  return readItems(records(file, schema), reader);
}

function records(file: string, schema: z.ZodType): AsyncIterable<RawRecord> {
  if (!file.endsWith('.parquet')) return readJsonLines(file);
  return readParquet(file, { columns: schema === unified ? Object.keys(unified.shape) : Object.keys(question.shape) });
}

function imageOf(file: string, found: z.output<typeof image>, field: string): Promise<ItemImage> {
  return typeof found === 'string' ? imageFile(path.dirname(file), found, field) : imageBytes(found.bytes, field);
}
