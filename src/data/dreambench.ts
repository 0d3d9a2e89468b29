/** DreamBench (Ruiz et al. 2023, DreamBooth, Sec. 4.1): 30 subjects with 4 to 6 photographs each, and 25 prompts a subject. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { imageFile, loadItemImage } from './item-images';
import { DataSetError, ItemProblem, type RawRecord, type Read, readItems } from './items';
import { readLines } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanByCluster } from './columns';
import type { ImageScorer } from './judges';
import { imageScores } from './score-images';

export interface DreamBenchSubject {
  /** Name of its folder: `grey_sloth_plushie`. */
  readonly id: string;
  /** `stuffed animal` */
  readonly className: string;
  /** Cats and dogs: their prompts are about clothes, those of objects about places. */
  readonly live: boolean;
  /** Absolute paths, by name. */
  readonly images: readonly string[];
  /** Prompts with `{0}` for the subject's token and `{1}` for its class. */
  readonly prompts: readonly string[];
}

/** A prompt of a subject in words. @param token `` leaves the class alone: "a dog in the snow" */
export function dreamBenchPrompt(prompt: string, token: string, className: string): string {
  return prompt.replace('{0}', token).replace('{1}', className).replace(/\s+/g, ' ').trim();
}

/**
 * Reads the folder `dataset` of the upstream repository: a folder a subject, and `prompts_and_classes.txt`. Subjects
 * that have no folder are left out, so that a part of the set can be read.
 */
export async function* readDreamBench(folder: string): AsyncGenerator<Read<DreamBenchSubject>> {
  const table = await readPromptsAndClasses(path.join(folder, 'prompts_and_classes.txt'));
  yield* readItems(subjectFolders(folder), {
    schema: z.object({ id: z.string(), images: z.array(z.string()).min(1) }),
    make: async ({ id, images }): Promise<DreamBenchSubject> => {
      const className = table.classes.get(id);
      if (className === undefined) throw new ItemProblem(`prompts_and_classes.txt names no class of '${id}'`);
      const live = ['cat', 'dog'].includes(className);
      return {
        id,
        className,
        live,
        images: await Promise.all(images.map((name) => imageFile(path.join(folder, id), name))),
        prompts: live ? table.livePrompts : table.objectPrompts,
      };
    },
  });
}

async function* subjectFolders(folder: string): AsyncGenerator<RawRecord> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  for (const id of names.sort()) {
    const files = await readdir(path.join(folder, id));
    const images = files.filter((file) => /\.(jpe?g|png|webp)$/i.test(file)).sort();
    yield { file: path.join(folder, id), where: 'the folder', value: { id, images } };
  }
}

interface PromptsAndClasses {
  readonly classes: ReadonlyMap<string, string>;
  readonly objectPrompts: readonly string[];
  readonly livePrompts: readonly string[];
}

/** @throws DataSetError for a file without classes or one of the two lists */
async function readPromptsAndClasses(file: string): Promise<PromptsAndClasses> {
  const classes = new Map<string, string>();
  const prompts: { object: string[]; live: string[] } = { object: [], live: [] };
  let part: 'classes' | 'object' | 'live' | undefined;
  for await (const record of readLines(file)) {
    if ('problem' in record) throw new DataSetError(`${file}, ${record.where}: ${record.problem}`);
    const line = String(record.value).trim();
    if (line === 'Classes') part = 'classes';
    else if (line === 'Object Prompts') part = 'object';
    else if (line === 'Live Subject Prompts') part = 'live';
    else if (part === 'classes') {
      const [, name, className] = /^([\w-]+),(.+)$/.exec(line) ?? [];
      if (name && name !== 'subject_name') classes.set(name, className.trim());
    } else if (part) prompts[part].push(...[/^'(.*)'\.format\(/.exec(line)?.[1] ?? []].flat());
  }
  if (classes.size === 0 || prompts.object.length === 0 || prompts.live.length === 0)
    throw new DataSetError(
      `${file}: 'Classes', 'Object Prompts' and 'Live Subject Prompts' were expected, each with lines`,
    );
  return { classes, objectPrompts: prompts.object, livePrompts: prompts.live };
}

/** Columns: each scorer's mean over prompts and images of a subject, then over subjects. */
export function dreamBenchmark(folder: string, scorers: readonly ImageScorer[]): Benchmark {
  return {
    name: 'dreambench',
    judges: scorers.map(({ name }) => name),
    columns: [...scorers.map(({ name }) => meanByCluster(name)), meanByCluster('drawn')],
    async *items() {
      for await (const read of readDreamBench(folder)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id: subject, className, prompts, images } = read.item;
        for (const [i, prompt] of prompts.entries())
          yield {
            item: {
              id: `${subject}, prompt ${i + 1}`,
              cluster: subject,
              subject,
              ask: {
                kind: 'image',
                prompt: dreamBenchPrompt(prompt, '<sks>', ''),
                inWords: dreamBenchPrompt(prompt, '', className),
                references: () => Promise.all(images.map(loadItemImage)),
              },
            } satisfies BenchmarkItem,
          };
      }
    },
    async score({ ask }, { images }) {
      if (ask.kind !== 'image') throw new TypeError('DreamBench asks for images');
      const references = (await ask.references?.()) ?? [];
      return { scores: await imageScores(scorers, images, ask.inWords ?? ask.prompt, references), detail: null };
    },
  };
}

/** DreamBench as a task. */
export const dreamBenchTask = (folder: string, scorers: readonly ImageScorer[]) =>
  new BenchmarkTask(dreamBenchmark(folder, scorers));
