/** DPG-Bench (Hu et al. 2024, arXiv 2403.05135): 1,065 dense prompts, and questions about each that depend on one another. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { collectItems, DataSetError, ItemError, ItemProblem, type RawRecord, type Reading, readItems } from './items';
import { readTable } from './tables';
import { textPieces } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { ruleColumn } from './columns';
import { type ChatJudge, replyValue } from './judges';
import { yesNoRubric } from './rubrics';
import { dpgBench, type DpgItem, dpgItemScore } from './rules/dpg-bench';

export interface DpgPrompt {
  /** Name of the file: `partiprompts94`. */
  readonly id: string;
  readonly prompt: string;
}

/** A row of the question table. */
export interface DpgQuestionRow {
  readonly itemId: string;
  readonly id: number;
  /** Ids of the item's questions that must hold before this one makes sense; 0 is none. */
  readonly dependency: readonly number[];
  /** `entity - whole (cat, x)` */
  readonly tuple: string;
  readonly question: string;
}

/** Reads `prompts/ID.txt` of a folder, by id. */
export function readDpgPrompts(folder: string): Reading<DpgPrompt> {
  return readItems(promptFiles(path.join(folder, 'prompts')), {
    schema: z.object({ id: z.string(), prompt: z.string().trim().min(1) }),
    make: (item) => item,
  });
}

async function* promptFiles(folder: string): AsyncGenerator<RawRecord> {
  const names = await readdir(folder).catch(() => {
    throw new DataSetError(`${folder}: the folder is missing; a file ID.txt for each prompt was expected there`);
  });
  for (const name of names.filter((file) => file.endsWith('.txt')).sort()) {
    const file = path.join(folder, name);
    let prompt = '';
    try {
      for await (const piece of textPieces(file)) if ((prompt += piece).length > maxPromptLength) break;
    } catch (error) {
      if (!(error instanceof DataSetError)) throw error;
      yield { file, where: 'the file', problem: error.message };
      continue;
    }
    yield prompt.length > maxPromptLength
      ? { file, where: 'the file', problem: `the prompt is longer than ${maxPromptLength} characters` }
      : { file, where: 'the file', value: { id: name.slice(0, -'.txt'.length), prompt } };
  }
}

const maxPromptLength = 1 << 20;

const row = z.object({
  item_id: z.string().min(1),
  proposition_id: z.coerce.number<string>().int().min(1),
  dependency: z.string().regex(/^\s*\d+(\s*,\s*\d+)*\s*$/, 'should be numbers of questions with commas between them'),
  tuple: z.string().min(1),
  question_natural_language: z.string().min(1),
});

/** Reads `dpg_bench.csv`. Its further columns (text, keywords, ...) are not needed. */
export function readDpgQuestions(file: string): Reading<DpgQuestionRow> {
  return readItems(readTable(file, { columns: Object.keys(row.shape) }), {
    schema: row,
    make: (found) => ({
      itemId: found.item_id,
      id: found.proposition_id,
      dependency: found.dependency.split(',').map(Number),
      tuple: found.tuple,
      question: found.question_natural_language,
    }),
    id: ({ itemId, id }) => `${itemId}, question ${id}`,
  });
}

/**
 * The questions of each item, in the table's order.
 * @param skipFirst leaves out the first row, as the published script does, so that the first item has one question fewer
 * @throws ItemProblem for an item whose question depends on one that is not there
 */
export function dpgQuestionsByItem(
  rows: readonly DpgQuestionRow[],
  { skipFirst = false }: { skipFirst?: boolean } = {},
): Map<string, readonly DpgQuestionRow[]> {
  const byItem = new Map<string, DpgQuestionRow[]>();
  for (const question of rows.slice(skipFirst ? 1 : 0)) {
    const of = byItem.get(question.itemId);
    if (of) of.push(question);
    else byItem.set(question.itemId, [question]);
  }
  for (const [itemId, questions] of byItem) {
    const ids = new Set([0, ...questions.map(({ id }) => id)]);
    const lost = questions.find(({ dependency }) => dependency.some((id) => !ids.has(id)));
    if (lost && !skipFirst)
      throw new ItemProblem(
        `question ${lost.id} of '${itemId}' depends on ${lost.dependency.join(', ')}, not all of which are there`,
      );
  }
  return byItem;
}

const LEVELS = ['entity', 'attribute', 'relation', 'global', 'other'] as const;

/** An item as it is asked. */
export interface DpgAsk extends BenchmarkItem {
  readonly questions: readonly DpgQuestionRow[];
}

/**
 * Columns: `score`, where a question whose parent was answered "no" counts 0, and the five kinds of questions as
 * answered; 0 to 100. The judge answers the questions; the paper's is mPLUG-large.
 * @param table `dpg_bench.csv`. Default: in the folder
 */
export function dpgBenchmark(
  folder: string,
  judge: ChatJudge,
  table: string = path.join(folder, 'dpg_bench.csv'),
): Benchmark<DpgAsk, DpgItem> {
  const column = (name: string, value: (items: readonly DpgItem[]) => number | undefined) =>
    ruleColumn<DpgItem>(
      name,
      () => true,
      (items) => value(items.map(({ detail }) => detail)),
    );
  return {
    name: 'dpg',
    judges: [judge.name],
    columns: [
      column('score', (items) => dpgBench(items).score),
      ...LEVELS.map((level) => column(level, (items) => dpgBench(items).level1.get(level))),
    ],
    async *items() {
      const { items: rows, errors } = await collectItems(readDpgQuestions(table));
      for (const error of errors) yield { error };
      const questions = dpgQuestionsByItem(rows);
      for await (const read of readDpgPrompts(folder)) {
        if ('error' in read) yield read;
        else {
          const { id, prompt } = read.item;
          const own = questions.get(id);
          const place = { file: table, where: `item '${id}'` };
          yield own
            ? { item: { id, ask: { kind: 'image', prompt }, questions: own } }
            : { error: new ItemError(place, 'it has no questions') };
        }
      }
    },
    async score({ questions }, { images }) {
      const requests = images.flatMap((image) => questions.map(({ question }) => yesNoRubric.request(image, question)));
      const replies = (await judge.ask(requests, yesNoRubric.read)).map(replyValue);
      const answers = images.map((_, i) => replies.slice(i * questions.length, (i + 1) * questions.length));
      const none = questions.map(() => 'no');
      const detail: DpgItem = {
        questions: questions.map(({ id, tuple, dependency }) => ({ id, tuple, dependency })),
        answers: answers.length > 0 ? answers : [none],
      };
      return { scores: { score: 100 * dpgItemScore(detail).score }, detail };
    },
  };
}

/** DPG-Bench as a task. */
export const dpgTask = (folder: string, judge: ChatJudge, table?: string) =>
  new BenchmarkTask(dpgBenchmark(folder, judge, table));
