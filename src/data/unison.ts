/**
 * Unison (Liu et al. 2026), its part Internal Consistency: prompts, and yes-no questions that the model's own image must
 * answer. From the user's copy. The other parts (grounded generation, spatial puzzles, repair) are not read.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import { DataSetError, ItemProblem, type Read, readItems } from './items';
import { readJsonFields, readLines } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { ruleColumn } from './columns';
import { readYesNo, yesNoScores, type YesNo, type YesNoReading } from './rules/pope';

export interface UnisonItem {
  /** `prompt_7`: the seventh line. */
  readonly id: string;
  readonly prompt: string;
  readonly questions: readonly { readonly question: string; readonly answer: 'yes' | 'no' }[];
}

const answer = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['yes', 'no']));
const entry = z.record(z.string(), z.array(z.object({ question: z.string().min(1), answer })).min(1));

/** Reads `Internal_Consistency/prompts.txt` and `questions.json`. A prompt without questions is an error. */
export async function* readUnison(folder: string): AsyncGenerator<Read<UnisonItem>> {
  const part = path.join(folder, 'Internal_Consistency');
  const [prompts, questions] = ['prompts.txt', 'questions.json'].map((name) => path.join(part, name));
  const lacking = [prompts, questions].find((file) => !existsSync(file));
  if (lacking !== undefined) throw new DataSetError(`${lacking}: the file is missing`);
  const asked = new Map<string, UnisonItem['questions']>();
  const entries = readItems(readJsonFields(questions), { schema: entry, make: (found) => Object.entries(found)[0] });
  for await (const read of entries) {
    if ('error' in read) yield read;
    else if (!asked.has(read.item[0])) asked.set(...read.item);
    else yield* duplicate(questions, read.item[0]);
  }
  yield* readItems(readLines(prompts), {
    schema: z.string(),
    make: (prompt, { where }) => {
      const id = where.replace('line ', 'prompt_');
      const of = asked.get(id);
      if (!of) throw new ItemProblem(`there are no questions '${id}' in ${questions}`);
      return { id, prompt: prompt.trim(), questions: of };
    },
  });
}

function duplicate(file: string, key: string) {
  return readItems<z.ZodNever, never>([{ file, where: `field '${key}'`, problem: 'it was there before' }], {
    schema: z.never(),
    make: (value) => value,
  });
}

/** Answers about the model's own images, and what they should be. */
export interface UnisonDetail {
  readonly readings: readonly YesNoReading[];
  readonly labels: readonly YesNo[];
}

/** `consistency`: share of the questions that the model answers rightly about the image that it drew; no judge. */
export function unisonBenchmark(
  folder: string,
): Benchmark<BenchmarkItem & { readonly item: UnisonItem }, UnisonDetail> {
  return {
    name: 'unison',
    judges: ['rule'],
    columns: [
      ruleColumn<UnisonDetail>(
        'consistency',
        () => true,
        (items) =>
          yesNoScores(
            items.flatMap(({ detail }) => detail.readings),
            items.flatMap(({ detail }) => detail.labels),
          ).accuracy,
      ),
    ],
    async *items() {
      for await (const read of readUnison(folder)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id, prompt, questions } = read.item;
        const thenAsked = questions.map(({ question }) => question);
        yield { item: { id, item: read.item, ask: { kind: 'image', prompt, thenAsked } } };
      }
    },
    score({ item }, { texts }) {
      const readings: YesNoReading[] = texts.length > 0 ? texts.map(readYesNo) : item.questions.map(() => 'unknown');
      const labels = readings.map((_, i) => item.questions[i % item.questions.length].answer);
      const right = readings.filter((reading, i) => reading === labels[i]).length;
      return Promise.resolve({ scores: { consistency: right / readings.length }, detail: { readings, labels } });
    },
  };
}

/** Unison's internal consistency as a task. */
export const unisonTask = (folder: string) => new BenchmarkTask(unisonBenchmark(folder));
