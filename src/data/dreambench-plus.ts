/** DreamBench++ (Peng et al. 2024, arXiv 2406.16855): 150 images of animals, people, objects and styles, nine prompts each. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { imageFile, loadItemImage } from './item-images';
import { DataSetError, type RawRecord, readItems, type Reading } from './items';
import { readLines } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanByCluster } from './columns';
import type { ImageScorer } from './judges';
import { imageScores } from './score-images';

export interface DreamBenchPlusItem {
  /** `animal/00` */
  readonly id: string;
  readonly category: string;
  readonly subject: string;
  /** Absolute path. */
  readonly image: string;
  readonly prompts: readonly string[];
}

const entry = z.object({
  category: z.string(),
  name: z.string(),
  subject: z.string().trim().min(1),
  prompts: z.array(z.string().min(1)).min(1),
});

/**
 * Reads `captions/**\/NAME.txt` (the subject, then a prompt a line) with `images/**\/NAME.jpg`.
 * @throws DataSetError when there is no folder `captions`
 */
export function readDreamBenchPlus(folder: string): Reading<DreamBenchPlusItem> {
  return readItems(captionFiles(path.join(folder, 'captions')), {
    schema: entry,
    make: async ({ category, name, subject, prompts }) => ({
      id: `${category}/${name}`,
      category: path.posix.basename(category),
      subject,
      image: await imageFile(path.join(folder, 'images'), `${category}/${name}.jpg`),
      prompts,
    }),
    id: ({ id }) => id,
  });
}

async function* captionFiles(folder: string): AsyncGenerator<RawRecord> {
  const names = await readdir(folder, { recursive: true }).catch(() => {
    throw new DataSetError(`${folder}: the folder is missing; CATEGORY/NAME.txt was expected there`);
  });
  for (const name of names.filter((file) => file.endsWith('.txt')).sort()) {
    const file = path.join(folder, name);
    const lines: string[] = [];
    let problem: string | undefined;
    try {
      for await (const line of readLines(file)) {
        if ('problem' in line) problem ??= `${line.where}: ${line.problem}`;
        else lines.push(String(line.value).trim());
      }
    } catch (error) {
      if (!(error instanceof DataSetError)) throw error;
      problem = error.message;
    }
    const [subject = '', ...prompts] = lines;
    const { dir, name: base } = path.parse(name);
    const category = dir.split(path.sep).join('/');
    yield {
      file,
      where: 'the file',
      ...(problem === undefined ? { value: { category, name: base, subject, prompts } } : { problem }),
    };
  }
}

/** Columns: each scorer's mean by subject, as DreamBench. The paper's own judge, GPT-4o with its rubric, is not asked. */
export function dreamBenchPlusBenchmark(folder: string, scorers: readonly ImageScorer[]): Benchmark {
  return {
    name: 'dreambench-plus',
    judges: scorers.map(({ name }) => name),
    columns: [...scorers.map(({ name }) => meanByCluster(name)), meanByCluster('drawn')],
    missing: ['concept preservation and prompt following, which GPT-4o marks with a rubric of its own'],
    async *items() {
      for await (const read of readDreamBenchPlus(folder)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id, image, prompts } = read.item;
        for (const [i, prompt] of prompts.entries())
          yield {
            item: {
              id: `${id}, prompt ${i + 1}`,
              cluster: id,
              subject: id,
              ask: { kind: 'image', prompt, references: async () => [await loadItemImage(image)] },
            } satisfies BenchmarkItem,
          };
      }
    },
    async score({ ask }, { images }) {
      if (ask.kind !== 'image') throw new TypeError('DreamBench++ asks for images');
      const references = (await ask.references?.()) ?? [];
      return { scores: await imageScores(scorers, images, ask.prompt, references), detail: null };
    },
  };
}

/** DreamBench++ as a task. */
export const dreamBenchPlusTask = (folder: string, scorers: readonly ImageScorer[]) =>
  new BenchmarkTask(dreamBenchPlusBenchmark(folder, scorers));
