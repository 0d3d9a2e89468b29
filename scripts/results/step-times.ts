/**
 * How many supervised steps take as long as one of reinforcement: measured once, both in turns, and written down, so that
 * a machine that is busy at one time and idle at another does not change what the control gets.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Method } from '../../src/eval';
import { projectVersion } from '../../src/io/version';
import { writeFileAtomic } from '../../src/io/write-file';
import type { StepTimes } from './work';

export interface MeasuredRatio {
  /** Supervised steps that take as long as one of reinforcement: the ratio of the medians. */
  readonly ratio: number;
  /** Medians, seconds. */
  readonly reinforcement: number;
  readonly supervised: number;
  readonly pairs: readonly StepTimes[];
  readonly machine: string;
  /** What measured it, and at which version of the project. */
  readonly command: string;
  readonly version: string;
}

/** Method -> backbone -> what was measured. */
export type StepTimesFile = Readonly<Partial<Record<Method, Readonly<Record<string, MeasuredRatio>>>>>;

export function ratioOf(pairs: readonly StepTimes[]): Omit<MeasuredRatio, 'command' | 'version'> {
  const [reinforcement, supervised] = [
    median(pairs.map((pair) => pair.reinforcement)),
    median(pairs.map((pair) => pair.supervised)),
  ];
  const machine = `${os.cpus()[0]?.model ?? 'unknown'}, ${os.cpus().length} threads`;
  return { ratio: reinforcement / supervised, reinforcement, supervised, pairs, machine };
}

/** The ratio of the file; measured, and written there, when it has none. */
export async function writtenRatio(
  file: string,
  { method, backbone, command }: { readonly method: Method; readonly backbone: string; readonly command: string },
  measure: () => Promise<readonly StepTimes[]>,
): Promise<number> {
  const known = read(file);
  const found = known[method]?.[backbone];
  if (found) return found.ratio;
  const measured: MeasuredRatio = { command, version: projectVersion(), ...ratioOf(await measure()) };
  const all: StepTimesFile = { ...known, [method]: { ...known[method], [backbone]: measured } };
  await mkdir(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(all, null, 1)}\n`);
  return measured.ratio;
}

const read = (file: string): StepTimesFile =>
  existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as StepTimesFile) : {};

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)];
}
