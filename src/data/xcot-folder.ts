/**
 * X-CoT records as a folder, and as a task:
 *
 *   records.jsonl   one record a line, its images named by their files
 *   images/         NAME-reference.png, NAME-focus.png, NAME-target.png
 *   errors.jsonl    what failed in the last run of the data engine
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import type { Rng } from '../engine';
import { type Image, JsonLines, readImage, savePng } from '../io';
import type { UnifiedModel } from '../models/unified';
import { sentence } from './items';
import type { Evaluation } from './task';
import {
  type DrawnXcot,
  evaluateXcot,
  type XcotEvaluationOptions,
  type XcotExample,
  type XcotRecord,
  type XcotTask,
} from './xcot';

const IMAGES = ['reference', 'focus', 'target'] as const;
type ImageName = (typeof IMAGES)[number];

const xcotLine = z.record(z.enum(['id', 'subject', 'prompt', 'caption', 'plan', ...IMAGES]), z.string());

/** A line of `records.jsonl`; images are paths from the folder. */
export type XcotLine = Readonly<z.output<typeof xcotLine>>;

export const recordsFile = (folder: string) => path.join(folder, 'records.jsonl');

/** Writes a record's images; its line says that they are there. */
export async function writeXcotImages(folder: string, record: XcotRecord): Promise<XcotLine> {
  const { id, subject, prompt, caption, plan } = record;
  await mkdir(path.join(folder, 'images'), { recursive: true });
  // An id may hold anything; a file's name may not.
  const name = createHash('sha256').update(id).digest('hex').slice(0, 16);
  const files = Object.fromEntries(IMAGES.map((image) => [image, `images/${name}-${image}.png`])) as Record<
    ImageName,
    string
  >;
  for (const image of IMAGES) await savePng(path.join(folder, files[image]), record[image]);
  return { id, subject, prompt, caption, plan, ...files };
}

/** @throws Error naming the line and the field that is missing, or no text */
export async function readXcotLines(folder: string): Promise<XcotLine[]> {
  const file = recordsFile(folder);
  if (!existsSync(file)) throw new Error(`${file} is missing: the folder holds no X-CoT records`);
  const lines = await JsonLines.read(file);
  return lines.map((line, i) => {
    const found = xcotLine.safeParse(line);
    if (!found.success) throw new Error(`${file}:${i + 1}: ${sentence(found.error, line)}`);
    return found.data;
  });
}

/** A record with its images. @throws Error naming the file that is missing or no image */
export async function loadXcotRecord(folder: string, line: XcotLine): Promise<XcotRecord> {
  const [reference, focus, target] = await Promise.all(IMAGES.map((name) => readImage(path.join(folder, line[name]))));
  return { ...line, reference, focus, target };
}

/** Judges an image of a folder's task; a reward's name and value. */
export interface XcotScorer {
  readonly name: string;
  readonly score: (drawn: readonly DrawnXcot<XcotLine>[]) => Promise<readonly number[]>;
}

export interface XcotFolderOptions {
  /** Every so manieth subject is held out: no record of it is trained. Default 10. */
  readonly holdOutEvery?: number;
}

/** Records of a folder as a task. Whole subjects are held out, not records: an evaluation asks about subjects never seen. */
export class XcotFolderTask implements XcotTask<XcotLine> {
  readonly name: string;

  private constructor(
    private readonly folder: string,
    private readonly train: readonly XcotLine[],
    private readonly heldOut: readonly XcotLine[],
    private readonly references: ReadonlyMap<string, Image>,
    private readonly scorers: readonly XcotScorer[],
  ) {
    this.name = `X-CoT of ${path.basename(folder)}`;
  }

  /** Reads the lines and the reference images. @throws Error when there are fewer than two subjects: none can be held out */
  static async open(
    folder: string,
    scorers: readonly XcotScorer[],
    { holdOutEvery = 10 }: XcotFolderOptions = {},
  ): Promise<XcotFolderTask> {
    const lines = await readXcotLines(folder);
    const subjects = [...new Set(lines.map(({ subject }) => subject))].sort();
    if (subjects.length < 2)
      throw new Error(
        `${folder} has records of ${subjects.length} subject: one at least must be held out, and one trained`,
      );
    // The last one of every so many, so that two subjects are enough.
    const every = Math.min(holdOutEvery, subjects.length);
    const held = new Set(subjects.filter((_, i) => i % every === every - 1));
    const references = new Map<string, Image>();
    for (const line of lines) references.set(line.id, await readImage(path.join(folder, line.reference)));
    const of = (isHeld: boolean) => lines.filter(({ subject }) => held.has(subject) === isHeld);
    return new XcotFolderTask(folder, of(false), of(true), references, scorers);
  }

  sample(rng: Rng): XcotExample<XcotLine> {
    return this.example(rng.pick(this.train));
  }

  record(rng: Rng): Promise<XcotRecord> {
    return loadXcotRecord(this.folder, rng.pick(this.train));
  }

  /** Every held-out record once; the scorers' values are the metrics, 0 where nothing was drawn. */
  evaluate(model: UnifiedModel, rng: Rng, options: XcotEvaluationOptions = {}): Promise<Evaluation> {
    const examples = this.heldOut.slice(0, options.count).map((line) => this.example(line));
    return evaluateXcot(model, examples, rng, options, {
      assess: async (drawn) => {
        const rows = drawn.map((): Record<string, number> => ({}));
        for (const { name, score } of this.scorers) (await score(drawn)).forEach((value, i) => (rows[i][name] = value));
        return rows;
      },
      missing: Object.fromEntries(this.scorers.map(({ name }) => [name, 0])),
      cluster: ({ truth }) => truth.subject,
    });
  }

  private example(line: XcotLine): XcotExample<XcotLine> {
    const { id, prompt } = line;
    return { id, prompt, references: [this.references.get(id) as Image], truth: line };
  }
}
