/** What a run of a method has in common with those of every other: its folder, its limit, its clock. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { EvaluatedItem, Evaluation } from '../../src/data/task';
import { imageSheet, savePng } from '../../src/io';
import { writeFileAtomic } from '../../src/io/write-file';
import type { ListedRun } from './runs';

export interface Work {
  readonly run: ListedRun;
  /** A checkpoint's folder. */
  readonly model: string;
  /** Holds what is needed to go on after a kill. */
  readonly folder: string;
  /** Steps of every stage, at most, and half of the held-out prompts: for a quick check. Default: none. */
  readonly limit?: number;
  /** `key=value` over what was chosen: tried on validation seeds alone. */
  readonly set?: readonly string[];
  /**
   * Supervised steps that take as long as one of reinforcement; the control asks.
   * @param from the checkpoint that is measured. Default: `model`
   */
  readonly ratio: (from?: string) => Promise<number>;
  /** Told of every step. */
  readonly tick: (stage: string, done: number, of: number) => Promise<void>;
}

export interface Performed {
  /** Resolved; with what was chosen by the seed. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly before: Evaluation;
  readonly after: Evaluation;
  /** Stands before every prompt, where runs are of several subjects. */
  readonly scope?: string;
  /** Metrics of its steps of reinforcement, as the run's folder holds them. */
  readonly log?: string;
}

/** Seconds of a step of reinforcement and of a supervised one, measured in turns. */
export interface StepTimes {
  readonly reinforcement: number;
  readonly supervised: number;
}

export interface MethodRuns {
  perform(work: Work): Promise<Performed>;
  /** Runs both kinds of steps in turns, so that a busy machine slows both alike. */
  stepTimes(model: string, pairs: number): Promise<readonly StepTimes[]>;
}

/** Held-out prompts, unless a limit is given. */
export const heldOut = (count: number, { limit }: Pick<Work, 'limit'>) => (limit === undefined ? count : 2 * limit);

/** Steps of the control, at least one. @param from the checkpoint that step times are measured on. Default: the run's model */
export async function controlSteps(steps: number, { ratio, limit }: Work, from?: string): Promise<number> {
  return limit === undefined ? Math.max(1, Math.round(steps * (await ratio(from)))) : limit;
}

/** Goes through all steps. */
export async function followed(
  steps: AsyncIterable<unknown>,
  stage: string,
  of: number,
  { tick }: Pick<Work, 'tick'>,
): Promise<void> {
  let done = 0;
  for await (const _ of steps) await tick(stage, ++done, of);
}

type PlainItem = Omit<EvaluatedItem, 'image' | 'reference'>;

/** Images of an evaluation that are kept, in the order of the prompts. */
const SHOWN = 12;

/** Images in a row of a sheet. */
const SHEET_COLUMNS = 6;

/** What the images of an evaluation's sheet were asked to show. */
export const promptsFile = (file: string) => file.replace(/\.json$/, '-prompts.json');

/** An evaluation that is made once, also when the run is killed behind it; the first of its images are kept beside the file, as a sheet. */
export async function evaluatedOnce(file: string, evaluate: () => Promise<Evaluation>): Promise<Evaluation> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Evaluation;
  const { metrics, items } = await evaluate();
  const drawn = items.flatMap(({ image, prompt }) => (image ? [{ image, prompt }] : [])).slice(0, SHOWN);
  if (drawn.length > 0) {
    const sheet = imageSheet(
      drawn.map(({ image }) => image),
      SHEET_COLUMNS,
    );
    await savePng(file.replace(/\.json$/, '.png'), sheet);
    await writeFileAtomic(promptsFile(file), JSON.stringify(drawn.map(({ prompt }) => prompt)));
  }
  const plain = items.map(({ prompt, cluster, text, scores }): PlainItem => ({ prompt, cluster, text, scores }));
  await writeFileAtomic(file, JSON.stringify({ metrics, items: plain }));
  return { metrics, items: plain };
}

export const inFolder = ({ folder }: Pick<Work, 'folder'>, name: string) => path.join(folder, name);

/** Seconds of the two kinds of steps, taken in turns; the first two pairs, which compile what they run, do not count. */
export async function inTurns(
  reinforcement: AsyncIterator<unknown>,
  supervised: AsyncIterator<unknown>,
  pairs: number,
): Promise<StepTimes[]> {
  const timed = async (steps: AsyncIterator<unknown>) => {
    const start = performance.now();
    const { done } = await steps.next();
    if (done) throw new RangeError('there are fewer steps than are to be timed');
    return (performance.now() - start) / 1000;
  };
  const all: StepTimes[] = [];
  for (let i = 0; i < pairs + 2; i++)
    all.push({ reinforcement: await timed(reinforcement), supervised: await timed(supervised) });
  return all.slice(2);
}
