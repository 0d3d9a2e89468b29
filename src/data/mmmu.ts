/** MMMU (Yue et al. 2023, arXiv 2311.16502) as published: Parquet files by subject, up to seven images a question. */
import * as z from 'zod';
import { BenchmarkTask } from './benchmark-task';
import { imageBytes } from './item-images';
import { inTurn, ItemProblem, readItems, type Reading } from './items';
import { readParquet } from './parquet';
import type { TextStyle } from './personalization';
import { pythonTexts } from './python-list';
import { questionBenchmark } from './question-benchmark';
import { lettered, letters, type QuestionItem } from './question-item';

/** Hugging Face's image feature: bytes of a file in the row. */
export const embeddedImage = z.object({ bytes: z.instanceof(Uint8Array), path: z.string().nullish() });

const imageColumns = [1, 2, 3, 4, 5, 6, 7].map((i) => `image_${i}`);

const row = z.object({
  id: z.string().min(1),
  question: z.string().min(1),
  options: z.string(),
  answer: z.string(),
  question_type: z.enum(['multiple-choice', 'open']),
  subfield: z.string().nullish(),
  images: z.array(embeddedImage.nullish()),
});

/** The seven columns of images as one list. */
function withImages(value: unknown): unknown {
  const columns = value as Readonly<Record<string, unknown>>;
  return { ...columns, images: imageColumns.map((name) => columns[name]) };
}

/** Reads one Parquet file. The question says `<image 1>` where an image belongs. */
export function readMmmu(file: string): Reading<QuestionItem> {
  const columns = ['id', 'question', 'options', 'answer', 'question_type', 'image_1'];
  return readItems(readParquet(file, { columns, optional: ['subfield', ...imageColumns.slice(1)] }), {
    schema: z.preprocess(withImages, row),
    make: async (found) => {
      const options = pythonTexts(found.options);
      if (!options || options.length > letters.length)
        throw new ItemProblem(
          `field 'options' should be a list of at most ${letters.length} texts, got ${found.options.slice(0, 80)}`,
        );
      const choices = found.question_type === 'open' ? {} : lettered(options);
      if (found.question_type !== 'open' && !['?', ...Object.keys(choices)].includes(found.answer))
        throw new ItemProblem(
          `field 'answer' should be one of ${Object.keys(choices).join(', ')}, got '${found.answer}'`,
        );
      const images = await Promise.all(
        found.images.flatMap((image, i) => (image ? [imageBytes(image.bytes, imageColumns[i])] : [])),
      );
      const { id, question, answer, subfield } = found;
      return {
        id,
        images,
        question,
        answer: answer === '?' ? undefined : answer,
        choices,
        category: subfield ?? undefined,
      };
    },
    id: ({ id }) => id,
  });
}

/** MMMU from its Parquet files: letters by rule, open questions by equality; 0 to 100. */
export const mmmuBenchmark = (files: readonly string[], style?: TextStyle) =>
  questionBenchmark('mmmu', () => inTurn(files.map(readMmmu)), { rule: 'equivalent', style });

/** MMMU as a task. */
export const mmmuTask = (files: readonly string[]) => new BenchmarkTask(mmmuBenchmark(files));
