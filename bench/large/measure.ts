/** `unilab bench --model`: what loading a model of a published size costs, and its work at several lengths. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Precision } from '../../src/engine';
import { packageRoot } from '../../src/io/package-root';
import { largeModel } from './models';
import type { LargeModel, WorkTiming } from './work';
import { LineWorker } from '../line-worker';
import { namedParameters } from '../../src/nn/module';
import { writeRandomCheckpoint } from './random-checkpoint';
import { median } from '../report';
import { writeFileAtomic } from '../../src/io/write-file';

export interface LargeOptions {
  /** A name that `large-models` knows. */
  readonly model: string;
  readonly precision: Precision;
  /** Tokens before the timed ones, or codes of the image. Default: the model's own lengths. */
  readonly lengths?: readonly number[];
  /** Timed tokens or steps at each length. */
  readonly count: number;
  /** Where the checkpoint is written, and removed afterwards. Default: the system's temporary folder. */
  readonly folder?: string;
}

export interface LengthTiming {
  readonly length: number;
  /** Median seconds of one token with the cache, or of one step. */
  readonly eachSeconds: number;
  /** Median processor seconds of the same: what counts where the machine is shared. */
  readonly eachCpuSeconds: number;
  /** Tokens: the whole context at once, what each token would cost without the cache. Images: codes to pixels. */
  readonly wholeSeconds: number;
  readonly wholeCpuSeconds: number;
}

export interface LargeReport {
  readonly model: string;
  readonly part: string;
  readonly work: LargeModel['work'];
  readonly parameters: number;
  readonly tensors: number;
  /** bf16, on the disk. */
  readonly fileBytes: number;
  /** float32, in memory. */
  readonly heldBytes: number;
  readonly writeSeconds: number;
  readonly loadSeconds: number;
  readonly loadCpuSeconds: number;
  readonly engine: string;
  /** Resident memory: before loading, after it, and its largest until then. */
  readonly residentBefore: number;
  readonly residentAfter: number;
  readonly residentPeak: number;
  /** (peak - before) / held: 1 would be nothing but the weights. */
  readonly peakOverHeld: number;
  /** Largest resident memory until the work was done. */
  readonly workPeak: number;
  readonly timings: readonly LengthTiming[];
  /** Tokens, or steps, at the first length. */
  readonly perSecond: number;
}

/** Writes random weights, loads them in a process of their own and works. @throws RangeError for an unknown model */
export async function benchLargeModel(options: LargeOptions): Promise<LargeReport> {
  const built = largeModel(options.model);
  const folder = await mkdtemp(path.join(options.folder ?? os.tmpdir(), 'unilab-bench-'));
  let worker: LineWorker | undefined;
  try {
    console.error(`unilab bench: writing random weights of ${options.model} to ${folder}`);
    const start = performance.now();
    const { parameters, bytes } = await writeAll(folder, built);
    const writeSeconds = (performance.now() - start) / 1000;
    console.error(`unilab bench: loading ${(bytes / 1e9).toFixed(2)} GB`);
    const program = path.join(packageRoot(), 'bin', 'unilab');
    const args = [program, 'bench', '--model-worker', options.precision];
    worker = new LineWorker(options.model, process.execPath, args);
    const loaded = await worker.ask({ do: 'load', model: options.model, folder });
    const [before, peak, held] = [loaded.before, loaded.peak, loaded.held].map(Number);
    let workPeak = peak;
    const stored = Object.values(built.files).flatMap((net) => [...namedParameters(net).own.keys()]);
    const timings: LengthTiming[] = [];
    for (const length of options.lengths ?? built.lengths) {
      console.error(`unilab bench: ${UNITS[built.work].at(length)}`);
      const answer = await worker.ask({ do: 'run', length, count: options.count });
      const { each, whole } = answer as unknown as WorkTiming;
      workPeak = Math.max(workPeak, Number(answer.peak));
      timings.push({
        length,
        eachSeconds: median(each.map(({ seconds }) => seconds)),
        eachCpuSeconds: median(each.map(({ cpuSeconds }) => cpuSeconds)),
        wholeSeconds: whole.seconds,
        wholeCpuSeconds: whole.cpuSeconds,
      });
    }
    return {
      model: options.model,
      part: built.part,
      work: built.work,
      parameters,
      tensors: stored.length,
      fileBytes: bytes,
      heldBytes: held,
      writeSeconds,
      loadSeconds: Number(loaded.seconds),
      loadCpuSeconds: Number(loaded.cpuSeconds),
      engine: `${String(loaded.engine)} ${String(loaded.library)}, ${String(loaded.precision)}`,
      residentBefore: before,
      residentAfter: Number(loaded.after),
      residentPeak: peak,
      peakOverHeld: (peak - before) / held,
      workPeak,
      timings,
      perSecond: 1 / timings[0].eachSeconds,
    };
  } finally {
    worker?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeAll(folder: string, { files, config }: LargeModel): Promise<{ parameters: number; bytes: number }> {
  let [parameters, bytes] = [0, 0];
  for (const [file, net] of Object.entries(files)) {
    const written = await writeRandomCheckpoint(folder, net, 1, file);
    parameters += written.parameters;
    bytes += written.bytes;
  }
  if (config) await writeFileAtomic(path.join(folder, 'config.json'), JSON.stringify(config, null, 2));
  return { parameters, bytes };
}

/** How each kind of work is spoken of. */
const UNITS = {
  tokens: {
    at: (length: number) => `decoding after ${length} tokens`,
    per: 'tokens/s',
    length: 'context',
    title: 'cost of a token:     with the cache                          without: the whole context',
  },
  images: {
    at: (length: number) => `a picture of ${length} codes`,
    per: 'steps/s',
    length: 'codes',
    title: 'MaskGIT, guided:     one step                                codes to pixels',
  },
} as const;

/** The report in words. */
export function formatLargeReport(report: LargeReport): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  const cells = (...values: number[]) => values.map((value) => value.toFixed(value < 10 ? 2 : 1).padStart(13)).join('');
  const unit = UNITS[report.work];
  const rows = report.timings.map(
    ({ length, ...t }) =>
      String(length).padStart(9) +
      cells(
        t.eachSeconds * 1e3,
        t.eachCpuSeconds * 1e3,
        1 / t.eachSeconds,
        t.wholeSeconds * 1e3,
        t.wholeCpuSeconds * 1e3,
      ),
  );
  return [
    `${report.model}, ${report.part}: ${report.parameters.toLocaleString('en-US')} parameters in ${report.tensors} tensors; ${report.engine}`,
    `random weights written in ${report.writeSeconds.toFixed(1)} s (bf16, ${gigabytes(report.fileBytes)})`,
    `load time        ${report.loadSeconds.toFixed(1)} s (${report.loadCpuSeconds.toFixed(1)} s of the processors)`,
    `resident memory  ${gigabytes(report.residentAfter)} after loading, ${gigabytes(report.residentPeak)} at most, ${gigabytes(report.residentBefore)} before`,
    `                 ${report.peakOverHeld.toFixed(2)} times the weights held (float32, ${gigabytes(report.heldBytes)}) while loading`,
    `                 ${gigabytes(report.workPeak)} at most while working`,
    `${unit.per.padEnd(17)}${report.perSecond.toFixed(report.perSecond < 0.1 ? 4 : 2)}`,
    '',
    unit.title,
    `${unit.length.padStart(9)}           ms       CPU ms${unit.per.padStart(13)}           ms       CPU ms`,
    ...rows,
  ].join('\n');
}
