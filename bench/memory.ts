/** Whether memory stays flat over many steps, and what a traced step takes beside an untraced one. */
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../src/io/package-root';
import { LineWorker } from './line-worker';
import { median } from './report';
import { benchVersions } from './versions';

/** Steps between two looks at resident memory. */
const EVERY = 10;
/** Steps of each of the two processes whose peaks are compared: enough for every shape of batch to have come. */
const PEAK_STEPS = 12;

export interface MemoryReport {
  readonly command: string;
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly steps: number;
  /** Resident bytes after each tenth step. */
  readonly resident: readonly number[];
  /** Median of the last fifth over the median of the second, minus 1: the first fifth is when shapes are compiled. */
  readonly growth: number;
  /** Tensors that were alive after each tenth step of the second half: one number if none is left behind. */
  readonly tensors: readonly number[];
  /** Most bytes of training steps above what was there before the first, in a process that traces and in one that does not. */
  readonly peaks: { readonly traced: number; readonly untraced: number; readonly ratio: number };
  readonly compiled: number;
}

/** Steps at least: fifths of fewer say nothing. */
export const FEWEST_STEPS = 50;

/** @param steps {@link FEWEST_STEPS} or more */
export async function measureMemory(steps: number, command: string): Promise<MemoryReport> {
  const untraced = await grownBy(false);
  const traced = await grownBy(true);
  const worker = start();
  const [resident, tensors]: number[][] = [[], []];
  let last: Readonly<Record<string, unknown>> = {};
  try {
    for (let done = 0; done < steps; done += EVERY) {
      last = await worker.ask({ steps: EVERY });
      resident.push(Number(last.now));
      tensors.push(Number(last.numTensors));
      console.error(`unilab bench: ${done + EVERY} steps, ${(Number(last.now) / 1e6).toFixed(0)} MB`);
    }
  } finally {
    worker.close();
  }
  const fifth = Math.floor(resident.length / 5);
  const programs = (last.compiled as { programs: { compilations: number }[] }[]).flatMap((report) => report.programs);
  return {
    command,
    date: new Date().toISOString().slice(0, 10),
    versions: await benchVersions(),
    machine: {
      cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
      cores: os.availableParallelism(),
      tensorflow: String(last.engine),
    },
    steps,
    resident,
    growth: median(resident.slice(-fifth)) / median(resident.slice(fifth, 2 * fifth)) - 1,
    tensors: [...new Set(tensors.slice(tensors.length / 2))],
    peaks: { traced, untraced, ratio: traced / untraced },
    compiled: programs.reduce((sum, program) => sum + program.compilations, 0),
  };
}

async function grownBy(traced: boolean): Promise<number> {
  const worker = start();
  try {
    return Number((await worker.ask({ steps: PEAK_STEPS, traced })).grown);
  } finally {
    worker.close();
  }
}

function start(): LineWorker {
  const program = path.join(packageRoot(), 'bin', 'unilab');
  return new LineWorker('UniLab', process.execPath, [program, 'bench', '--memory-worker', 'bf16']);
}

export function formatMemory({ steps, resident, growth, tensors, peaks, compiled }: MemoryReport): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const [first, last] = [resident[0], resident[resident.length - 1]];
  return [
    `${steps} steps of Show-o mini: resident ${megabytes(first)} after ${EVERY}, ${megabytes(last)} at the end`,
    `growth from the second fifth to the last: ${(100 * growth).toFixed(1)}%; tensors alive: ${tensors.join(', ')}`,
    `compiled: ${compiled} functions`,
    `most memory of a step: traced ${megabytes(peaks.traced)}, untraced ${megabytes(peaks.untraced)} (${peaks.ratio.toFixed(2)})`,
  ].join('\n');
}
