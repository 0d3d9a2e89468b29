/** What a model of published size offers to the benchmark, and how its work is timed. */
import type { Module } from '../../src/nn/module';

/** A model that can be written with random weights, loaded again and made to work. */
export interface LargeModel {
  /** What is built, in words. */
  readonly part: string;
  /** The layers whose parameters are in each file. */
  readonly files: Readonly<Record<string, Module>>;
  /** `config.json`, where loading reads one. */
  readonly config?: object;
  /** What it does; its lengths are those of the context before a token, or codes of an image. */
  readonly work: 'tokens' | 'images';
  /** The lengths that are measured unless others are asked for. */
  readonly lengths: readonly number[];
  /** Loads the folder's weights. */
  load(folder: string): Promise<LoadedLargeModel>;
}

export interface LoadedLargeModel {
  /** Scalars held in memory. */
  readonly parameters: number;
  /** The timed work at one length. @param count timed tokens, or steps */
  run(length: number, count: number): Promise<WorkTiming>;
}

/** Seconds by the clock, and by what the processors did: on a machine that is shared, only the latter are its own. */
export interface Spent {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export interface WorkTiming {
  /** Each timed token, or step. */
  readonly each: readonly Spent[];
  /** Tokens: the whole context at once, what each token would cost without the cache. Images: codes to pixels. */
  readonly whole: Spent;
}

/** What `work` costs. */
export async function spend(work: () => void | Promise<void>): Promise<Spent> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
}
