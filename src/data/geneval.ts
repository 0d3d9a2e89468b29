/** GenEval (Ghosh et al. 2023, arXiv 2310.11513): 553 prompts that say which objects, how many, of which color, and where. */
import path from 'node:path';
import * as z from 'zod';
import { readItems, type Reading } from './items';
import { readJsonLines } from './text-files';

export const GENEVAL_TAGS = ['single_object', 'two_object', 'counting', 'colors', 'position', 'color_attr'] as const;
export type GenEvalTag = (typeof GENEVAL_TAGS)[number];

export const GENEVAL_RELATIONS = ['left of', 'right of', 'above', 'below'] as const;
export type GenEvalRelation = (typeof GENEVAL_RELATIONS)[number];

const wanted = z.object({
  class: z.string().min(1),
  count: z.int().min(1),
  color: z.string().optional(),
  /** A relation, and the index in `include` of what it is to. */
  position: z.tuple([z.enum(GENEVAL_RELATIONS), z.int().min(0)]).optional(),
});

const line = z.object({
  tag: z.enum(GENEVAL_TAGS),
  include: z.array(wanted).min(1),
  exclude: z.array(z.object({ class: z.string(), count: z.int().min(1) })).optional(),
  prompt: z.string().min(1),
});

export interface GenEvalItem extends z.output<typeof line> {
  /** Place in the file as the released scripts write it: `00000` is the first line. Some prompts stand there twice. */
  readonly id: string;
}

/** Reads `evaluation_metadata.jsonl` of a folder, in its order. @throws DataSetError for a missing file */
export function readGenEval(folder: string): Reading<GenEvalItem> {
  return readItems(readJsonLines(path.join(folder, 'evaluation_metadata.jsonl')), {
    schema: line,
    make: (item, { where }) => ({ ...item, id: String(Number(where.slice('line '.length)) - 1).padStart(5, '0') }),
  });
}
