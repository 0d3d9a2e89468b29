/**
 * Tables of VLMEvalKit (Duan et al. 2024, arXiv 2407.11691): one layout for MMMU, MMStar, WeMath, MMVet, POPE, LogicVista,
 * MathVista, MathVerse, MathVision and many more: a TSV file whose images stand in it as base64.
 */
import * as z from 'zod';
import { imageFile, imageFromBase64, type ItemImage } from './item-images';
import { ItemProblem, readItems, type Reading } from './items';
import { pythonTexts } from './python-list';
import { letters, type QuestionItem } from './question-item';
import { readTable } from './tables';
import { BenchmarkTask } from './benchmark-task';
import { questionBenchmark, type QuestionBenchmarkOptions, type QuestionRule } from './question-benchmark';

const row = z.object({
  index: z.string().regex(/^\d+$/, 'should be a whole number of at least 0'),
  question: z.string().min(1),
  answer: z.string().optional(),
  hint: z.string().optional(),
  category: z.string().optional(),
  image: z.string().optional(),
  image_path: z.string().optional(),
});

/** A row may name another one's index instead of an image: the one it names stands not far before it. */
const keptImages = 256;

/**
 * Reads a table, row by row. Rows without an image of their own name the row whose image they share.
 * @param folder what `image_path` starts from, for tables without base64
 */
export function readVlmEvalKit(file: string, folder?: string): Reading<QuestionItem> {
  const recent = new Map<string, readonly ItemImage[]>();
  return readItems(readTable(file, { delimiter: '\t', columns: ['index', 'question'] }), {
    schema: row.catchall(z.string()),
    make: async (found) => {
      const images = await imagesOf(found, recent, folder);
      recent.set(found.index, images);
      if (recent.size > keptImages) recent.delete([...recent.keys()][0]);
      const present = (text?: string) => (text === undefined || text === '' || text === 'nan' ? undefined : text);
      const options = [...letters].flatMap((letter) => {
        const text = present((found as Record<string, string>)[letter]);
        return text === undefined ? [] : [[letter, text] as const];
      });
      return {
        id: found.index,
        images,
        question: found.question,
        answer: present(found.answer),
        choices: Object.fromEntries(options),
        hint: present(found.hint),
        category: present(found.category),
      };
    },
    id: ({ id }) => id,
  });
}

async function imagesOf(
  { image, image_path: path }: z.output<typeof row>,
  recent: ReadonlyMap<string, readonly ItemImage[]>,
  folder?: string,
): Promise<readonly ItemImage[]> {
  if (image !== undefined && /^\d{1,12}$/.test(image)) {
    const named = recent.get(image);
    if (!named)
      throw new ItemProblem(`field 'image' names row ${image}, which is not among the ${keptImages} rows before`);
    return named;
  }
  if (image) return Promise.all((pythonTexts(image) ?? [image]).map((code) => imageFromBase64(code)));
  if (path && folder !== undefined)
    return Promise.all((pythonTexts(path) ?? [path]).map((name) => imageFile(folder, name, 'image_path')));
  throw new ItemProblem(
    path ? "field 'image_path' needs the folder of images" : "field 'image' is empty: there is no image",
  );
}

/** The nine sets that CoRL evaluates (Table 2), by the rule that each is scored with. */
export const UNDERSTANDING_RULES = {
  mmmu: 'choice',
  mmstar: 'choice',
  wemath: 'choice',
  mmvet: 'graded',
  pope: 'yes-no',
  logicvista: 'equivalent',
  mathvista: 'equivalent',
  mathverse: 'equivalent',
  mathvision: 'equivalent',
} as const satisfies Readonly<Record<string, QuestionRule>>;
export type UnderstandingSet = keyof typeof UNDERSTANDING_RULES;

/** A table as a benchmark. @param folder of images, for tables without base64 */
export const vlmEvalKitBenchmark = (
  name: string,
  file: string,
  options: QuestionBenchmarkOptions & { readonly folder?: string },
) => questionBenchmark(name, () => readVlmEvalKit(file, options.folder), options);

/** A table of VLMEvalKit as a task. */
export const vlmEvalKitTask = (...given: Parameters<typeof vlmEvalKitBenchmark>) =>
  new BenchmarkTask(vlmEvalKitBenchmark(...given));
