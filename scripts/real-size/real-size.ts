/** One step of a recipe on a checkpoint with random weights, which is written and removed; what it took. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { residentBytes } from '../../bench/resident';
import { startEngine } from '../../src/engine';
import { packageRoot } from '../../src/io/package-root';
import { writeFileAtomic } from '../../src/io/write-file';
import { type CheckpointWriter, type Size, writeChameleon, writeJanus, writeShowo } from './checkpoints';
import { stepOfCorl, stepOfMmR1, type StepReport, stepOfSyncGrpo, type StepTaker } from './steps';

interface RealSizeModel {
  readonly recipe: string;
  readonly write: CheckpointWriter;
  readonly step: StepTaker;
  /** Of the images that it sees, pixels. */
  readonly side: Readonly<Record<Size, number>>;
}

export const MODELS = {
  'showo-1.3b': { recipe: 'sync-grpo', write: writeShowo, step: stepOfSyncGrpo, side: { published: 512, small: 64 } },
  'janus-pro-1b': { recipe: 'corl', write: writeJanus, step: stepOfCorl, side: { published: 384, small: 64 } },
  'chameleon-tenth': { recipe: 'mm-r1', write: writeChameleon, step: stepOfMmR1, side: { published: 512, small: 64 } },
} as const satisfies Record<string, RealSizeModel>;

export interface RealSizeOptions {
  readonly size: Size;
  /** The report is put into this JSON file, beside those of other models. */
  readonly out?: string;
  /** Holds the checkpoint. Default: the system's temporary folder. */
  readonly folder?: string;
}

/** A part of the work: seconds, and the most memory that the process had until its end. */
export interface RealSizePart {
  readonly part: string;
  readonly seconds: number;
  readonly peakGiB: number;
}

export interface RealSizeReport extends StepReport {
  readonly recipe: string;
  readonly version: string;
  readonly engine: string;
  readonly parameters: number;
  readonly minutes: number;
  readonly peakGiB: number;
  readonly parts: readonly RealSizePart[];
}

/** @throws whatever the recipe throws; the checkpoint is removed also then */
export async function realSizeStep(
  name: keyof typeof MODELS,
  { size, out, folder }: RealSizeOptions,
): Promise<RealSizeReport> {
  const { recipe, write, step, side }: RealSizeModel = MODELS[name];
  if (folder !== undefined) await mkdir(folder, { recursive: true });
  if (out !== undefined) await mkdir(path.dirname(path.resolve(out)), { recursive: true });
  const scratch = await mkdtemp(path.join(folder ?? os.tmpdir(), 'unilab-real-size-'));
  const parts: RealSizePart[] = [];
  const start = performance.now();
  let last = start;
  const done = (part: string) => {
    const now = performance.now();
    parts.push({ part, seconds: rounded((now - last) / 1000), peakGiB: peakGiB() });
    console.error(`${name}: ${part}: ${JSON.stringify(parts.at(-1))}`);
    last = now;
  };
  try {
    const { engine, flavor, precision } = await startEngine({ quiet: true });
    const model = path.join(scratch, name);
    await mkdir(model);
    const parameters = await write(model, size);
    done('write the checkpoint');
    const taken = await step({ model, scratch, side: side[size], done });
    const report: RealSizeReport = {
      recipe,
      version: versionOf(),
      engine: `${engine} ${flavor}, ${precision}`,
      parameters,
      ...taken,
      minutes: rounded((performance.now() - start) / 60_000),
      peakGiB: peakGiB(),
      parts,
    };
    if (out !== undefined) await put(out, name, report);
    return report;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const rounded = (value: number) => Math.round(value * 100) / 100;

const peakGiB = () => rounded(residentBytes().peak / 2 ** 30);

function versionOf(): string {
  const json = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return json.version;
}

async function put(file: string, name: string, report: RealSizeReport): Promise<void> {
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
  const command = `node --require ts-node/register/transpile-only scripts/real-size/main.ts --model ${name}`;
  await writeFileAtomic(file, `${JSON.stringify({ ...before, [name]: { command, ...report } }, null, 2)}\n`);
}
