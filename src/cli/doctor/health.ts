/** What a machine has, how fast it is, and what to do about what is missing. */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { type EngineReport, measureMatmul, type Precision, startEngine } from '../../engine';
import { findKernelspec } from './kernelspec';

/** Side of the matrices that are multiplied. */
const MATMUL_SIZE = 2048;

/** An engine and its speed. */
interface Measured {
  readonly report: EngineReport;
  readonly gflops: number;
}

/** What `unilab doctor --json` prints. */
export interface Health {
  readonly node: string;
  readonly platform: string;
  readonly engine: EngineReport | null;
  /** GFLOP/s of a 2048 x 2048 product by precision; null where it could not be measured. */
  readonly matmul: { readonly size: number; readonly float32: number | null; readonly bf16: number | null };
  readonly cores: number;
  readonly memory: { readonly totalBytes: number; readonly freeBytes: number };
  readonly kernel: { readonly installed: boolean; readonly folder: string | null };
  /** One line for each thing that is missing: what, and what to do. */
  readonly fixes: readonly string[];
}

/** The precision is fixed when an engine's library loads: each one is measured in a process of its own. */
function measureApart(precision: Precision): Promise<Measured | string> {
  return new Promise((resolve) => {
    const args = [...process.execArgv, process.argv[1], 'doctor', '--measure', precision];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, error] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
    child.on('error', (reason) => resolve(`the engine could not be measured: ${reason.message}`));
    child.on('close', () => {
      const last = out.trim().split('\n').at(-1) ?? '';
      if (last.startsWith('{')) resolve(JSON.parse(last) as Measured);
      else resolve(reasonIn(error));
    });
  });
}

/** The child's own line among what libraries print. */
function reasonIn(stderr: string): string {
  const lines = stderr.trim().split('\n');
  const reason = lines.find((line) => line.startsWith('unilab doctor: '));
  return reason?.slice('unilab doctor: '.length) ?? (lines.at(-1) || 'the engine ended without saying why');
}

/** Measures the engines and looks for what is missing. */
export async function examine(): Promise<Health> {
  const fixes: string[] = [];
  const float32 = await measureApart('float32');
  const bf16 = await measureApart('bf16');
  const best = [bf16, float32].find((measured): measured is Measured => typeof measured !== 'string');
  for (const problem of new Set([float32, bf16])) if (typeof problem === 'string') fixes.push(problem);
  const engine = best?.report ?? null;
  fixes.push(...(engine?.passedOver ?? []));
  if (engine?.engine === 'tensorflow' && engine.device === 'cpu' && !engine.ownKernels) {
    fixes.push('the fused operations are not compiled: training is slower (run `make engine`, with a C++ compiler)');
  }
  const folder = findKernelspec('unilab') ?? null;
  if (!folder) fixes.push('the notebook kernel is not installed (run `bin/unilab kernel install`)');
  const rounded = (measured: Measured | string) =>
    typeof measured === 'string' ? null : Math.round(measured.gflops * 10) / 10;
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}, ${os.cpus()[0]?.model.trim() ?? 'unknown processor'}`,
    engine,
    matmul: { size: MATMUL_SIZE, float32: rounded(float32), bf16: rounded(bf16) },
    cores: os.availableParallelism(),
    memory: { totalBytes: os.totalmem(), freeBytes: os.freemem() },
    kernel: { installed: folder !== null, folder },
    fixes,
  };
}

/** The report as lines for people. */
export function describeHealth(health: Health): string {
  const { engine, matmul, memory, kernel, fixes } = health;
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const speed = (value: number | null) => (value === null ? 'not measured' : `${value} GFLOP/s`);
  const library = engine?.engine === 'tensorflow' ? 'TensorFlow' : (engine?.engine ?? '');
  const rows: [string, string][] = [
    ['engine', engine ? engine.engine : 'none starts'],
    ...(engine
      ? ([
          ['library', `${library} ${engine.library}, tf.js ${engine.tfjs}`],
          ['device', engine.device],
          ...(engine.engine === 'tensorflow'
            ? ([
                ['fused ops', engine.ownKernels ? 'compiled' : 'none'],
                ['traced functions', engine.traced ? 'on (UNILAB_TRACE=0 turns them off)' : 'off'],
              ] satisfies [string, string][])
            : []),
          ['precision', `${engine.precision} (UNILAB_PRECISION=float32 or bf16)`],
        ] satisfies [string, string][])
      : []),
    [`matmul ${matmul.size}`, `float32 ${speed(matmul.float32)}, bf16 ${speed(matmul.bf16)}`],
    ['machine', `${health.platform}, ${health.cores} cores`],
    ['memory', `${gigabytes(memory.totalBytes)}, ${gigabytes(memory.freeBytes)} free`],
    ['node', health.node],
    ['kernel', kernel.folder ?? 'not installed'],
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(12)} ${value}`);
  return [...lines, ...fixes.map((fix) => `to fix       ${fix}`)].join('\n');
}

/** Measures the engine of this process. */
export async function measureHere(precision: Precision): Promise<Measured> {
  const report = await startEngine({ precision, quiet: true });
  return { report, gflops: await measureMatmul(MATMUL_SIZE) };
}
