/** `unilab bench --model`: what loading a model of a published size costs, and decoding at several lengths of context. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Precision } from '../../engine';
import { packageRoot } from '../../io/package-root';
import { largeModel } from './large-models';
import { LineWorker } from './line-worker';
import { writeRandomCheckpoint } from './random-checkpoint';
import { median } from './report';

export interface LargeOptions {
  /** A name that `large-models` knows. */
  readonly model: string;
  readonly precision: Precision;
  /** Tokens before the timed ones. */
  readonly contexts: readonly number[];
  /** Timed tokens at each length. */
  readonly tokens: number;
  /** Where the checkpoint is written, and removed afterwards. Default: the system's temporary folder. */
  readonly folder?: string;
}

export interface ContextTiming {
  readonly context: number;
  /** Seconds for the whole context at once: what each token would cost without the cache. */
  readonly promptSeconds: number;
  readonly promptCpuSeconds: number;
  /** Median seconds of one token with the cache. */
  readonly tokenSeconds: number;
  /** Median processor seconds of one token: what counts where the machine is shared. */
  readonly tokenCpuSeconds: number;
}

export interface LargeReport {
  readonly model: string;
  readonly part: string;
  readonly parameters: number;
  readonly tensors: number;
  /** bf16, on the disk. */
  readonly fileBytes: number;
  /** float32, in memory. */
  readonly heldBytes: number;
  readonly writeSeconds: number;
  readonly loadSeconds: number;
  readonly engine: string;
  /** Resident memory: before loading, after it, and its largest until then. */
  readonly residentBefore: number;
  readonly residentAfter: number;
  readonly residentPeak: number;
  /** (peak - before) / held: 1 would be nothing but the weights. */
  readonly peakOverHeld: number;
  readonly decoding: readonly ContextTiming[];
  /** At the first length of context. */
  readonly tokensPerSecond: number;
}

/** Writes random weights, loads them in a process of their own and decodes. @throws RangeError for an unknown model */
export async function benchLargeModel(options: LargeOptions): Promise<LargeReport> {
  const { specs, part } = largeModel(options.model);
  const folder = await mkdtemp(path.join(options.folder ?? os.tmpdir(), 'unilab-bench-'));
  let worker: LineWorker | undefined;
  try {
    console.error(`unilab bench: writing random weights of ${options.model} to ${folder}`);
    const start = performance.now();
    const { parameters, bytes } = await writeRandomCheckpoint(folder, specs, 1);
    const writeSeconds = (performance.now() - start) / 1000;
    console.error(`unilab bench: loading ${(bytes / 1e9).toFixed(2)} GB`);
    const program = path.join(packageRoot(), 'bin', 'unilab');
    const args = [program, 'bench', '--model-worker', options.precision];
    worker = new LineWorker(options.model, process.execPath, args);
    const loaded = await worker.ask({ do: 'load', model: options.model, folder });
    const decoding: ContextTiming[] = [];
    for (const context of options.contexts) {
      console.error(`unilab bench: decoding after ${context} tokens`);
      const answer = await worker.ask({ do: 'decode', context, tokens: options.tokens + 1 });
      const prompt = answer.prompt as { seconds: number; cpuSeconds: number };
      // The first token warms up what the prompt's shapes did not.
      const each = (answer.each as (typeof prompt)[]).slice(1);
      decoding.push({
        context,
        promptSeconds: prompt.seconds,
        promptCpuSeconds: prompt.cpuSeconds,
        tokenSeconds: median(each.map((token) => token.seconds)),
        tokenCpuSeconds: median(each.map((token) => token.cpuSeconds)),
      });
    }
    const [before, peak, held] = [loaded.before, loaded.peak, loaded.held].map(Number);
    return {
      model: options.model,
      part,
      parameters,
      tensors: Object.values(specs).filter(({ tiedTo }) => !tiedTo).length,
      fileBytes: bytes,
      heldBytes: held,
      writeSeconds,
      loadSeconds: Number(loaded.seconds),
      engine: `${String(loaded.engine)} ${String(loaded.library)}, ${String(loaded.precision)}`,
      residentBefore: before,
      residentAfter: Number(loaded.after),
      residentPeak: peak,
      peakOverHeld: (peak - before) / held,
      decoding,
      tokensPerSecond: 1 / decoding[0].tokenSeconds,
    };
  } finally {
    worker?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The report in words. */
export function formatLargeReport(report: LargeReport): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  const cells = (...values: number[]) => values.map((value) => value.toFixed(value < 10 ? 2 : 1).padStart(13)).join('');
  const rows = report.decoding.map(
    ({ context, ...t }) =>
      String(context).padStart(9) +
      cells(
        t.tokenSeconds * 1e3,
        t.tokenCpuSeconds * 1e3,
        1 / t.tokenSeconds,
        t.promptSeconds * 1e3,
        t.promptCpuSeconds * 1e3,
      ),
  );
  return [
    `${report.model}, ${report.part}: ${report.parameters.toLocaleString('en-US')} parameters in ${report.tensors} tensors; ${report.engine}`,
    `random weights written in ${report.writeSeconds.toFixed(1)} s (bf16, ${gigabytes(report.fileBytes)})`,
    `load time        ${report.loadSeconds.toFixed(1)} s`,
    `resident memory  ${gigabytes(report.residentAfter)} after loading, ${gigabytes(report.residentPeak)} at most, ${gigabytes(report.residentBefore)} before`,
    `                 ${report.peakOverHeld.toFixed(2)} times the weights held (float32, ${gigabytes(report.heldBytes)}) while loading`,
    `tokens/s         ${report.tokensPerSecond.toFixed(2)}`,
    '',
    'cost of a token:     with the cache                          without: the whole context',
    '  context           ms       CPU ms     tokens/s           ms       CPU ms',
    ...rows,
  ].join('\n');
}
