/** Yo'LLaVA (Nguyen et al. 2024, arXiv 2406.09400): 40 concepts in photographs, a question with two choices about each test image. */
import path from 'node:path';
import * as z from 'zod';
import { imageFile } from './item-images';
import { type RawRecord, readItems, type Reading } from './items';
import type { QuestionItem } from './question-item';
import { readJsonFields } from './text-files';
import type { Benchmark } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { type QuestionAsk, questionBenchmark, type QuestionDetail } from './question-benchmark';

export interface YoLlavaItem extends QuestionItem {
  /** Name of the concept; questions call it `<sks>`. */
  readonly concept: string;
}

const entry = z.object({
  concept: z.string().min(1),
  image: z.string().min(1),
  qa: z.object({
    question: z.string().trim().min(1),
    options: z.record(z.enum(['A', 'B']), z.string().min(1)),
    correct_answer: z.enum(['A', 'B']),
  }),
});

/** Reads `yollava-visual-qa.json` (concept, image path, question) of a clone of the repository; paths start from there. */
export function readYoLlava(folder: string): Reading<YoLlavaItem> {
  return readItems(questions(path.join(folder, 'yollava-visual-qa.json')), {
    schema: entry,
    make: async ({ concept, image, qa }) => ({
      id: image,
      concept,
      images: [await imageFile(folder, image)],
      question: qa.question,
      answer: qa.correct_answer,
      choices: qa.options,
      category: concept,
    }),
    id: ({ id }) => id,
  });
}

async function* questions(file: string): AsyncGenerator<RawRecord> {
  for await (const record of readJsonFields(file)) {
    if ('problem' in record) {
      yield record;
      continue;
    }
    const [[concept, images]] = Object.entries(record.value as Record<string, unknown>);
    const where = `concept '${concept}'`;
    const listed = typeof images === 'object' && images !== null ? Object.entries(images) : [];
    if (listed.length === 0) yield { file, where, problem: 'it has no images with questions' };
    for (const [image, qa] of listed)
      yield { file, where: `${where}, '${image}'`, value: { concept, image, qa: qa as unknown } };
  }
}

/** `accuracy` of the choices, 0 to 100. Questions say `<sks>`; each concept is a subject that a model may have learned. */
export function yoLlavaBenchmark(folder: string): Benchmark<QuestionAsk, QuestionDetail> {
  const benchmark = questionBenchmark('yollava', () => readYoLlava(folder), { rule: 'choice' });
  return {
    ...benchmark,
    holdsImages: false,
    async *items() {
      for await (const read of benchmark.items())
        yield 'error' in read
          ? read
          : { item: { ...read.item, cluster: read.item.item.category, subject: read.item.item.category } };
    },
  };
}

/** Yo'LLaVA as a task. */
export const yoLlavaTask = (folder: string) => new BenchmarkTask(yoLlavaBenchmark(folder));
