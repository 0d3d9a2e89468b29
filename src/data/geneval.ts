/** GenEval (Ghosh et al. 2023, arXiv 2310.11513): 553 prompts that say which objects, how many, of which color, and where. */
import path from 'node:path';
import * as z from 'zod';
import { readItems, type Reading } from './items';
import { readJsonLines } from './text-files';
import type { Benchmark, BenchmarkItem } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanOfMeans, ruleColumn } from './columns';
import type { ColorNamer, ObjectDetector } from './judges';
import { genEval, type GenEvalRecord } from './rules/geneval';
import { GENEVAL_COLORS, GENEVAL_MAX_OBJECTS, genEvalThreshold, genEvalVerdict } from './rules/geneval-verdict';

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

/** An item as it is asked. */
export interface GenEvalAsk extends BenchmarkItem {
  readonly item: GenEvalItem;
}

/** Who looks at the images. The paper has Mask2Former, and CLIP ViT-L/14 for colors. */
export interface GenEvalJudges {
  readonly detector: ObjectDetector;
  readonly colors: ColorNamer;
}

/** Records of an item's images: what the released summary takes. */
type Records = readonly GenEvalRecord[];

/** Columns: the six tags and their plain mean, `overall`; 0 to 1. */
export function genEvalBenchmark(folder: string, { detector, colors }: GenEvalJudges): Benchmark<GenEvalAsk, Records> {
  const summary = (items: readonly { readonly detail: Records }[]) => genEval(items.flatMap(({ detail }) => detail));
  return {
    name: 'geneval',
    judges: [detector.name, colors.name],
    columns: [
      ...GENEVAL_TAGS.map((tag) =>
        ruleColumn<Records>(
          tag,
          ({ detail }) => detail.some((record) => record.tag === tag),
          (items) => summary(items).tasks.get(tag)?.score,
        ),
      ),
      // Of items with equally many images it is the released summary's; with a tag missing it is another number, and left out.
      meanOfMeans('overall', GENEVAL_TAGS),
    ],
    async *items() {
      for await (const read of readGenEval(folder))
        yield 'error' in read
          ? read
          : { item: { id: read.item.id, item: read.item, ask: { kind: 'image', prompt: read.item.prompt } } };
    },
    unscorable({ item: { include, exclude = [] } }) {
      const unknown = [...include, ...exclude].find((wanted) => !detector.knows(wanted.class));
      if (unknown) return `${detector.name} does not know '${unknown.class}'`;
      const untold = include.find(({ class: label, color }) => color && colors.tells?.(color, label) === false);
      return untold && `${colors.name} cannot tell '${untold.color}' on '${untold.class}'`;
    },
    async score({ item }, { images }) {
      const { tag, include, exclude = [] } = item;
      const metadata = JSON.stringify({ tag, include, exclude, prompt: item.prompt, id: item.id });
      const verdicts: boolean[] = [];
      const found = images.length > 0 ? await detector.detect(images) : [];
      for (const [i, objects] of found.entries()) {
        const sure = objects.filter(({ score }) => score >= genEvalThreshold(tag));
        const seen = await Promise.all(
          include.flatMap(({ class: label, color }) =>
            sure
              .filter((object) => object.label === label)
              .slice(0, GENEVAL_MAX_OBJECTS)
              .map(async (object) =>
                color === undefined
                  ? object
                  : { ...object, color: await colors.color(images[i], object, GENEVAL_COLORS) },
              ),
          ),
        );
        const others = sure.filter(({ label }) => !include.some((wanted) => wanted.class === label));
        verdicts.push(genEvalVerdict(include, exclude, [...seen, ...others]));
      }
      if (images.length === 0) verdicts.push(false);
      const correct = verdicts.filter(Boolean).length / verdicts.length;
      return {
        scores: { correct, [tag]: correct },
        detail: verdicts.map((right) => ({ tag, metadata, correct: right })),
      };
    },
  };
}

/** GenEval as a task. */
export const genEvalTask = (folder: string, judges: GenEvalJudges) =>
  new BenchmarkTask(genEvalBenchmark(folder, judges));
