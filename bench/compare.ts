/** The same work in UniLab and in PyTorch, side by side in one run, in turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../src/io/package-root';
import { type Answer, LineWorker } from './line-worker';
import {
  type Agreement,
  type BenchReport,
  median,
  type ModelReport,
  quantile,
  ratiosOf,
  type Side,
  type Timing,
  type Work,
  type WorkProfile,
} from './report';
import { BENCH_SEED, type BenchModel, sizesFor } from './sizes';
import { type TorchPython, torchScript } from './torch';
import { benchVersions } from './versions';

export const PRECISIONS = ['bf16', 'float32'] as const;
export type BenchPrecision = (typeof PRECISIONS)[number];

export interface BenchOptions {
  readonly command: string;
  readonly models: readonly BenchModel[];
  /** Rounds at most. */
  readonly repeats: number;
  /** Rounds end when so many minutes are over, of which every model has an equal share; one round is done in any case. */
  readonly minutes: number;
  readonly works: readonly Work[];
  readonly precision: BenchPrecision;
  readonly torch: TorchPython;
  /** Tiny batches: they show that everything works, not how fast it is. */
  readonly small: boolean;
  /** Whether PyTorch's blocks are compiled too: it takes a C++ compiler. */
  readonly compile: boolean;
  /** Whether the report says where the time goes. */
  readonly profile: boolean;
}

interface Workers {
  readonly unilab: LineWorker;
  readonly torch?: LineWorker;
}

/** One way to do a work. */
interface Way {
  readonly side: Side;
  readonly worker: LineWorker;
  readonly how: Readonly<Record<string, unknown>>;
  /** Rounds in which it takes part. */
  readonly rounds: number;
}

/** Times every work on both sides, and compares their numbers. Without PyTorch, UniLab alone. */
export async function compareWithTorch(options: BenchOptions): Promise<BenchReport> {
  const { torch, precision, command } = options;
  const models: ModelReport[] = [];
  const end = performance.now() + options.minutes * 60_000;
  const machine: Record<string, string | number> = {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
  };
  const ceiling: Partial<Record<'unilab' | 'pytorch', number>> = {};
  for (const [i, model] of options.models.entries()) {
    const now = performance.now();
    const share = now + (end - now) / (options.models.length - i);
    models.push(await benchModel(model, options, share, machine, ceiling));
  }
  return {
    command,
    seed: BENCH_SEED,
    date: new Date().toISOString().slice(0, 10),
    versions: await benchVersions(),
    machine,
    precision,
    ceiling,
    models,
    ...('reason' in torch ? { pytorchSkipped: torch.reason } : {}),
  };
}

async function benchModel(
  model: BenchModel,
  options: BenchOptions,
  end: number,
  machine: Record<string, string | number>,
  ceiling: Partial<Record<'unilab' | 'pytorch', number>>,
): Promise<ModelReport> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'unilab-bench-'));
  const workers = startWorkers(options);
  const { works, precision } = options;
  try {
    const sizes = sizesFor(model, options.small);
    say(`${model}: weights and inputs`);
    await workers.unilab.ask({ do: 'prepare', folder, model, sizes });
    const loaded = await load(workers, folder, machine);
    await measureCeiling(workers, precision, ceiling);
    const ways = waysOf(workers, options);
    say(`${model}: first runs, in which both sides compile`);
    const agreement = await firstRuns(workers, ways, works, precision);
    await warmUp(ways, works, sizes.batches);
    const timings = await timedRuns(model, ways, works, options.repeats, end);
    const { reports, memory } = await workers.unilab.ask({ do: 'compiled' });
    return {
      model,
      parameters: loaded,
      sizes,
      timings,
      ratios: ratiosOf(timings),
      agreement,
      operations: await operationsOf(workers, works),
      compiled: reports as ModelReport['compiled'],
      peakBytes: (memory as { peak: number }).peak,
      profile: options.profile ? await profiles(workers.unilab, works) : {},
    };
  } finally {
    workers.unilab.close();
    workers.torch?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const say = (line: string): void => console.error(`unilab bench: ${line}`);

function startWorkers({ precision, torch }: BenchOptions): Workers {
  const program = path.join(packageRoot(), 'bin', 'unilab');
  const unilab = new LineWorker('UniLab', process.execPath, [program, 'bench', '--worker', precision]);
  return 'reason' in torch ? { unilab } : { unilab, torch: new LineWorker('PyTorch', torch.python, [torchScript()]) };
}

/** @returns the number of the model's parameters */
async function load(workers: Workers, folder: string, machine: Record<string, string | number>): Promise<number> {
  const ours = await workers.unilab.ask({ do: 'load', folder });
  machine.engine = `${String(ours.engine)} ${String(ours.library)}`;
  const theirs = await workers.torch?.ask({ do: 'load', folder, threads: os.availableParallelism() });
  if (theirs) machine.torch = String(theirs.torch);
  return Number(ours.parameters);
}

async function measureCeiling(
  workers: Workers,
  precision: BenchPrecision,
  ceiling: Partial<Record<'unilab' | 'pytorch', number>>,
): Promise<void> {
  const best = (name: 'unilab' | 'pytorch', answer: Answer) =>
    (ceiling[name] = Math.max(ceiling[name] ?? 0, Number(answer.gflops)));
  best('unilab', await workers.unilab.ask({ do: 'ceiling' }));
  if (workers.torch) best('pytorch', await workers.torch.ask({ do: 'ceiling', precision }));
}

function waysOf({ unilab, torch }: Workers, { precision, compile, repeats, small }: BenchOptions): Way[] {
  const ways: Way[] = [
    { side: 'traced', worker: unilab, how: { traced: true }, rounds: repeats },
    { side: 'eager', worker: unilab, how: { traced: false }, rounds: repeats },
  ];
  if (!torch) return ways;
  ways.push({ side: 'torch', worker: torch, how: { precision }, rounds: repeats });
  if (compile) ways.push({ side: 'compiled', worker: torch, how: { precision, compiled: true }, rounds: repeats });
  // Far behind the others: a few rounds show it.
  if (precision === 'bf16')
    ways.push({ side: 'float32', worker: torch, how: { precision: 'float32' }, rounds: small ? 1 : 2 });
  return ways;
}

/** What is compared of the first runs, by work: random draws cannot be. */
const VALUES: Readonly<Partial<Record<Work, string>>> = { replay: 'mean replayed log p', train: 'training loss' };
const CHECKED = { reward: 'reward of fixed codes', loss: 'GRPO loss', gradNorm: 'GRPO gradient norm' } as const;

/** Values while the weights are still the same: training comes last. */
async function firstRuns(
  { unilab, torch }: Workers,
  ways: readonly Way[],
  works: readonly Work[],
  precision: BenchPrecision,
): Promise<Agreement[]> {
  const found: Agreement[] = [];
  const add = (quantity: string, ours: unknown, theirs: unknown) =>
    found.push({ quantity, unilab: Number(ours), pytorch: Number(theirs) });
  if (torch && (works.includes('grpo') || works.includes('codes64'))) {
    const [ours, theirs] = [await unilab.ask({ do: 'check' }), await torch.ask({ do: 'check', precision })];
    for (const [name, quantity] of Object.entries(CHECKED)) add(quantity, ours[name], theirs[name]);
    add('log p of drawn codes', ours.drawn, theirs.drawn);
  }
  const [ours, theirs] = [ways.find(({ side }) => side === 'traced'), ways.find(({ side }) => side === 'torch')];
  for (const work of ['replay', 'train'] as const) {
    if (!ours || !works.includes(work)) continue;
    const own = await ask(ours, work, 0);
    if (theirs) add(VALUES[work] ?? work, own.value, (await ask(theirs, work, 0)).value);
  }
  return found;
}

/** A program is traced at its first call and compiled at its second; PyTorch compiles for a length, then for any. */
async function warmUp(ways: readonly Way[], works: readonly Work[], batches: number): Promise<void> {
  for (const work of works) {
    for (const way of ways) {
      if (way.side === 'eager' || way.side === 'float32') continue;
      const calls = work === 'train' ? (way.side === 'traced' ? 2 : 1) * batches : 2;
      for (let call = 0; call < calls; call++) await ask(way, work, call);
    }
  }
}

const ask = ({ worker, how }: Way, work: Work, round: number): Promise<Answer> =>
  worker.ask({ do: work, ...how, round });

async function timedRuns(
  model: BenchModel,
  ways: readonly Way[],
  works: readonly Work[],
  repeats: number,
  end: number,
): Promise<Timing[]> {
  const answers = new Map<string, Answer[]>();
  for (let round = 0; round < repeats && (round === 0 || performance.now() < end); round++) {
    const part = ways.filter(({ rounds }) => round < rounds);
    // Every other round goes backwards, so that no side always runs after the same neighbor.
    const order = round % 2 ? [...part].reverse() : part;
    for (const work of works) {
      for (const way of order) {
        const key = `${work} ${way.side}`;
        answers.set(key, [...(answers.get(key) ?? []), await ask(way, work, round)]);
      }
    }
    say(`${model}: round ${round + 1} of at most ${repeats}`);
  }
  return works.flatMap((work) =>
    ways.map(({ side }): Timing => {
      const runs = answers.get(`${work} ${side}`) ?? [];
      const [seconds, cpu] = [runs.map((run) => Number(run.seconds)), runs.map((run) => Number(run.cpuSeconds))];
      const quartiles = [quantile(seconds, 0.25), quantile(seconds, 0.75)] as const;
      return { work, side, seconds, median: median(seconds), quartiles, cpuMedian: median(cpu) };
    }),
  );
}

async function operationsOf({ torch }: Workers, works: readonly Work[]): Promise<ModelReport['operations']> {
  const found: Partial<Record<Work, number>> = {};
  for (const work of torch ? works : [])
    found[work] = Number((await torch?.ask({ do: 'operations', work }))?.operations);
  return found;
}

async function profiles(worker: LineWorker, works: readonly Work[]): Promise<ModelReport['profile']> {
  const found: Partial<Record<Work, WorkProfile>> = {};
  for (const work of works) found[work] = (await worker.ask({ do: 'profile', work })) as unknown as WorkProfile;
  return found;
}
