/**
 * The folder of a run. Its resolved options are its identity; it can be killed at any moment and gone on with:
 *
 *   options.json      resolved options, versions, seed
 *   metrics.jsonl     one line a step, none lost and none twice
 *   events.out.*      the same for TensorBoard, with images and texts of samples
 *   samples/          what was sampled, step by step; `refused-...` of a step that was refused
 *   checkpoints/      weights, optimizer, and the state of the recipe
 *   lock              which process writes here
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import * as path from 'node:path';
import { CheckpointStore } from './checkpoints';
import { EventFile } from './event-files';
import { encodePng, type Image } from './images';
import { JsonLines } from './json-lines';
import { claimFolder, RunError } from './run-identity';
import { RunLock } from './run-lock';
import { restoreTensors, type RunParts, withTensors } from './run-tensors';
import { type FileJob, writeFilesAtomic } from './write-file';

/** What a recipe keeps between steps: plain JSON. */
export interface RunState {
  /** Steps done. */
  step: number;
}

/** One sample, for people to look at. */
export interface LoggedSample {
  readonly prompt?: string;
  readonly text?: string;
  readonly image?: Image;
  /** Its reward and the like. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface LoggedStep {
  /** From 1. */
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Seconds. */
  readonly timings?: Readonly<Record<string, number>>;
  readonly samples?: readonly LoggedSample[];
}

export interface RunFolderOptions {
  /** Go on with the run in the folder. Without one there, begin it. Default false: a folder with a run is an error. */
  readonly resume?: boolean;
  /** Steps between checkpoints. Default 1. */
  readonly checkpointEvery?: number;
  /** Checkpoints that stay. Default 2. */
  readonly keep?: number;
  /** Steps of the whole run, the last of which is saved. Default: the option `steps`. */
  readonly steps?: number;
  /** Go on from the newest whole checkpoint when the newest is broken. Default false: say so and stop. */
  readonly fallback?: boolean;
}

/** What a recipe does with a run; `RunFolder` on disk. */
export interface Run {
  /** Puts everything back where the run was stopped, `state` in place. A new run changes nothing. */
  restore(state: RunState, parts: RunParts): Promise<boolean>;
  /** Logs a step; before it is saved. */
  log(step: LoggedStep): Promise<void>;
  /** Saves, every `checkpointEvery` steps and at the end; where gradients wait for more minibatches, later. */
  save(state: RunState, parts: RunParts, options?: { readonly now?: boolean }): Promise<void>;
  /** Keeps what a refused step had sampled. */
  keepRefused(step: number, error: unknown, samples: readonly LoggedSample[]): Promise<string>;
  close(): Promise<void>;
}

interface SavedState {
  readonly state: RunState;
  /** Where the event file ended. */
  readonly events: number;
}

type Line = Readonly<Record<string, number>>;

export class RunFolder implements Run {
  private lines?: JsonLines<Line>;
  private events?: EventFile;
  private logged = 0;
  private saved = 0;

  private constructor(
    readonly folder: string,
    private lock: RunLock | undefined,
    private readonly store: CheckpointStore<SavedState>,
    private readonly every: number,
    private readonly steps: number | undefined,
    private readonly fallback: boolean,
  ) {}

  /**
   * Begins a run, or goes on with one.
   * @param options resolved: the run's identity
   * @throws RunError when the folder holds a run and `resume` is not asked for, or one with other options: it lists them;
   *   when a process writes there: it names it
   */
  static async open(folder: string, options: object, settings: RunFolderOptions = {}): Promise<RunFolder> {
    const { resume = false, checkpointEvery = 1, keep = 2, fallback = false } = settings;
    if (!Number.isInteger(checkpointEvery) || checkpointEvery < 1)
      throw new RangeError(`checkpointEvery must be a positive integer, got ${checkpointEvery}`);
    const store = new CheckpointStore<SavedState>(path.join(folder, 'checkpoints'), keep);
    const lock = await RunLock.take(folder);
    try {
      const given = await claimFolder(folder, options, resume);
      const steps = settings.steps ?? (typeof given.steps === 'number' ? given.steps : undefined);
      return new RunFolder(folder, lock, store, checkpointEvery, steps, fallback);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Puts weights, optimizer and `state` back. What was logged after the checkpoint is forgotten: it comes again.
   * Call it once, before the first step, also in a new run.
   * @returns whether there was a checkpoint
   */
  async restore(state: RunState, parts: RunParts): Promise<boolean> {
    const found = await this.store.latest({ fallback: this.fallback });
    const step = found?.step ?? 0;
    if (found) {
      restoreTensors(found.folder, found.tensors, parts);
      for (const { checkpoint } of found.skipped) await rm(checkpoint, { recursive: true, force: true });
      Object.assign(state, found.state.state);
    }
    this.lines = await JsonLines.open<Line>(this.file('metrics.jsonl'), (line) => line.step <= step);
    this.events = await EventFile.open(this.folder, found?.state.events);
    await this.forgetSamples(step);
    this.logged = this.saved = step;
    return found !== undefined;
  }

  async log({ step, metrics, timings = {}, samples = [] }: LoggedStep): Promise<void> {
    const { lines, events } = this.ready();
    if (step !== this.logged + 1)
      throw new RangeError(`step ${step} cannot be logged: the last one was ${this.logged}`);
    const scalars: Record<string, number> = { ...metrics };
    for (const [name, seconds] of Object.entries(timings)) scalars[`time/${name}`] = seconds;
    if (samples.length > 0) await this.writeSamples(stepName(step), samples);
    await lines.append({ step, ...scalars });
    await events.append(step, await summaryOf(scalars, samples));
    this.logged = step;
  }

  /**
   * @param options.now also between the steps that are saved, as when a run is stopped
   * @throws RunError for a step that was not logged, for a last one that leaves gradients waiting, and when a weight or the optimizer is not finite: nothing is saved then
   */
  async save(state: RunState, parts: RunParts, { now = false } = {}): Promise<void> {
    const { lines, events } = this.ready();
    const { step } = state;
    const isLast = step === this.steps;
    const isDue = now || isLast || Math.floor(step / this.every) > Math.floor(this.saved / this.every);
    if (step === this.saved || !isDue) return;
    if (parts.pending?.steps && !isLast) return;
    if (parts.pending?.steps)
      throw new RunError(`step ${step} is the last, and gradients of ${parts.pending.steps} minibatches wait for more`);
    if (this.logged !== step) throw new RunError(`step ${step} must be logged before it is saved`);
    await withTensors(step, parts, async (tensors) => {
      await lines.flush();
      await this.store.save(step, { tensors, state: { state, events: await events.flush() } });
    });
    this.saved = step;
  }

  async keepRefused(step: number, error: unknown, samples: readonly LoggedSample[]): Promise<string> {
    const reason = error instanceof Error ? error.message : String(error);
    return this.writeSamples(`refused-${stepName(step)}`, samples, { reason });
  }

  /** Closes the files and lets go of the folder; once closed, nothing more happens. */
  async close(): Promise<void> {
    const { lines, events, lock } = this;
    this.lines = this.events = this.lock = undefined;
    try {
      await lines?.close();
      await events?.close();
    } finally {
      await lock?.release();
    }
  }

  private ready(): { lines: JsonLines<Line>; events: EventFile } {
    const { lines, events } = this;
    if (!lines || !events) throw new RunError('the run must be restored before it goes on, also a new one');
    return { lines, events };
  }

  private file(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  /** `samples.json` names the images beside it; it is there only when they are. */
  private async writeSamples(name: string, samples: readonly LoggedSample[], more: object = {}): Promise<string> {
    const folder = this.file('samples', name);
    await mkdir(folder, { recursive: true });
    const jobs: FileJob[] = [];
    const put = (file: string, data: Uint8Array) =>
      jobs.push({ file: path.join(folder, file), write: (write) => write(data) });
    const records: object[] = [];
    for (const [i, { image, ...rest }] of samples.entries()) {
      const file = image && `${String(i).padStart(2, '0')}.png`;
      if (image && file) put(file, await encodePng(image));
      records.push({ ...rest, image: file });
    }
    put('samples.json', Buffer.from(`${JSON.stringify({ ...more, samples: records }, null, 2)}\n`));
    await writeFilesAtomic(jobs);
    return folder;
  }

  private async forgetSamples(step: number): Promise<void> {
    const names = await readdir(this.file('samples')).catch(() => [] as string[]);
    for (const name of names) {
      const at = /^step-(\d{8})$/.exec(name)?.[1];
      if (at !== undefined && Number(at) > step) await rm(this.file('samples', name), { recursive: true });
    }
  }
}

const stepName = (step: number): string => `step-${String(step).padStart(8, '0')}`;

async function summaryOf(scalars: Line, samples: readonly LoggedSample[]) {
  const images: Record<string, { width: number; height: number; png: Uint8Array }> = {};
  const texts: Record<string, string> = {};
  for (const [i, { image, prompt, text, values }] of samples.entries()) {
    if (image) images[`samples/${i}`] = { ...image, png: await encodePng(image) };
    const said = [prompt && `**${prompt}**`, text, values && `\`${JSON.stringify(values)}\``].filter(Boolean);
    if (said.length > 0) texts[`samples/${i}`] = said.join('\n\n');
  }
  return { scalars, images, texts };
}
