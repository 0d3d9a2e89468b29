/**
 * MC-LLaVA (An et al. 2024, arXiv 2411.11706), single concepts: recognition, questions and choices about test images, and
 * choices from text alone. `concept_type.json` says in which folder a concept lies.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { imageFile, loadItemImage } from './item-images';
import { orError, type RawRecord, type Read, readItems } from './items';
import { readJsonArray, readJsonFields } from './text-files';
import { unifybenchBleu } from '../text/bleu';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanColumn } from './columns';
import { unifyChoiceHit } from './rules/unify-bench';

export type McLlavaKind = 'rec' | 'vqa' | 'choice' | 'text';

export interface McLlavaItem {
  readonly id: string;
  readonly concept: string;
  readonly kind: McLlavaKind;
  /** Absolute path; none for `text`. */
  readonly image?: string;
  readonly question: string;
  readonly answer: string;
}

const concepts = z.record(z.string().min(1), z.string().min(1));
const entry = z.object({
  concept: z.string(),
  kind: z.enum(['rec', 'vqa', 'choice', 'text']),
  image: z.string().optional(),
  question: z.string().trim().min(1),
  answer: z.string().trim().min(1),
});

/** Reads `TYPE/concept/test/NAME/{*.png, vqa.json, choice.json, qa.json}` of every concept. */
export async function* readMcLlava(folder: string): AsyncGenerator<Read<McLlavaItem>> {
  const listed = readItems(readJsonFields(path.join(folder, 'concept_type.json')), {
    schema: concepts,
    make: (found) => Object.entries(found)[0],
    id: ([name]) => name,
  });
  for await (const read of listed) {
    if ('error' in read) yield read;
    else yield* readConcept(path.join(folder, read.item[1], 'concept', 'test', read.item[0]), read.item[0]);
  }
}

function readConcept(folder: string, concept: string): AsyncGenerator<Read<McLlavaItem>> {
  return readItems(records(folder, concept), {
    schema: entry,
    make: async ({ image, kind, ...rest }, { file, where }) => {
      const id = `${concept}, ${kind}, ${image ?? `${path.basename(file)}, ${where}`}`;
      if (image === undefined) return { ...rest, id, kind };
      return { ...rest, id, kind, image: await imageFile(folder, image) };
    },
    id: ({ id }) => id,
  });
}

async function* records(folder: string, concept: string): AsyncGenerator<RawRecord> {
  const files = await readdir(folder).catch(() => []);
  const images = files.filter((name) => /\.(png|jpe?g)$/i.test(name)).sort();
  if (images.length === 0) yield { file: folder, where: `concept '${concept}'`, problem: 'there are no test images' };
  const question = `Can you see <${concept}> in this photo? Answer the question using a single word Yes or No.`;
  for (const image of images)
    yield { file: folder, where: image, value: { concept, kind: 'rec', image, question, answer: 'Yes' } };
  for (const kind of ['vqa', 'choice'] as const)
    yield* orError(
      mapped(readJsonFields(path.join(folder, `${kind}.json`)), (value) => aboutImage(concept, kind, value)),
    );
  yield* orError(
    mapped(readJsonArray(path.join(folder, 'qa.json')), (value) => ({ concept, kind: 'text', ...(value as object) })),
  );
}

/** The files name images by the path on their authors' machine: only its last part counts. */
function aboutImage(concept: string, kind: McLlavaKind, value: unknown): unknown {
  const [[image, qa]] = Object.entries(value as Record<string, { Human?: unknown; AI?: unknown } | null>);
  return { concept, kind, image: image.split('/').at(-1), question: qa?.Human, answer: qa?.AI };
}

async function* mapped(
  records: AsyncIterable<RawRecord>,
  change: (value: unknown) => unknown,
): AsyncGenerator<RawRecord> {
  for await (const record of records) yield 'problem' in record ? record : { ...record, value: change(record.value) };
}

export interface McLlavaAsk extends BenchmarkItem {
  readonly item: McLlavaItem;
}

/**
 * Columns, 0 to 1: `rec` (share of test images in which the concept is recognized: the set has no negative ones here),
 * `choice`, `text` (the letter is said) and `vqa/bleu`.
 */
export function mcLlavaBenchmark(folder: string): Benchmark<McLlavaAsk, string> {
  return {
    name: 'mc-llava',
    judges: ['rule'],
    columns: ['rec', 'vqa/bleu', 'choice', 'text'].map((name) => meanColumn(name)),
    async *items() {
      for await (const read of readMcLlava(folder)) {
        if ('error' in read) {
          yield read;
          continue;
        }
        const { id, concept, image, question } = read.item;
        const text = question.split(`<${concept}>`).join('<sks>');
        const parts = async () => [...(image === undefined ? [] : [await loadItemImage(image)]), text];
        yield { item: { id, cluster: concept, subject: concept, item: read.item, ask: { kind: 'answer', parts } } };
      }
    },
    score({ item: { kind, answer } }, { texts: [said = ''] }) {
      const right = (hit: boolean) => (hit ? 1 : 0);
      const scores: Record<string, number> =
        kind === 'vqa'
          ? { 'vqa/bleu': unifybenchBleu(said, answer) }
          : { [kind]: right(kind === 'rec' ? /yes/i.test(said) : unifyChoiceHit({ truth: answer, prediction: said })) };
      return Promise.resolve({ scores, detail: said });
    },
  };
}

/** MC-LLaVA as a task. */
export const mcLlavaTask = (folder: string) => new BenchmarkTask(mcLlavaBenchmark(folder));
