/** The same work in UniLab and in PyTorch, side by side in one run, in turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../src/io/package-root';
import type { BenchSizes } from './inputs';
import { type Answer, LineWorker } from './line-worker';
import { type Agreement, type BenchReport, median, ratiosOf, type Timing, type Work, type WorkProfile } from './report';
import { type TorchPython, torchScript } from './torch';

export const PRECISIONS = ['bf16', 'float32'] as const;
export type BenchPrecision = (typeof PRECISIONS)[number];

/** Tiny batches: they show that everything works, not how fast it is. */
export const SMALL_SIZES: Partial<BenchSizes> = {
  images: 2,
  asked: 1,
  questions: 2,
  texts: 1,
  rollouts: 2,
  steps: 2,
  replays: 1,
};

export interface BenchOptions {
  readonly repeats: number;
  readonly works: readonly Work[];
  readonly precisions: readonly BenchPrecision[];
  readonly torch: TorchPython;
  readonly sizes: Partial<BenchSizes>;
}

interface Side {
  readonly side: Timing['side'];
  readonly precision: Timing['precision'];
  readonly worker: LineWorker;
}

/** Times every work on both sides, and compares their numbers. Without PyTorch, UniLab alone. */
export async function compareWithTorch(options: BenchOptions): Promise<BenchReport> {
  const { repeats, works, torch } = options;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'unilab-bench-'));
  const sides = startSides(options);
  try {
    console.error('unilab bench: preparing weights and inputs');
    const prepared = await sides[0].worker.ask({ do: 'prepare', folder, sizes: options.sizes });
    const machine = await loadSides(sides, folder);
    const agreement = await firstRuns(sides, works);
    const timings = await timedRuns(sides, works, repeats);
    return {
      machine,
      sizes: { ...(prepared.sizes as BenchSizes) },
      repeats,
      timings,
      ratios: ratiosOf(timings),
      agreement,
      profile: await profiles(sides[0], works),
      ...('reason' in torch ? { pytorchSkipped: torch.reason } : {}),
    };
  } finally {
    for (const { worker } of sides) worker.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A process for each precision, UniLab's before PyTorch's. */
function startSides({ precisions, torch }: BenchOptions): Side[] {
  const program = path.join(packageRoot(), 'bin', 'unilab');
  const unilab = precisions.map((precision): Side => {
    const command = [program, 'bench', '--worker', precision];
    return { side: 'unilab', precision, worker: new LineWorker(`UniLab (${precision})`, process.execPath, command) };
  });
  if ('reason' in torch) return unilab;
  const pytorch = precisions.map((precision): Side => {
    const worker = new LineWorker(`PyTorch (${precision})`, torch.python, [torchScript()]);
    return { side: 'pytorch', precision, worker };
  });
  return [...unilab, ...pytorch];
}

/** Has every side load weights and inputs. @returns what the machine and the libraries are */
async function loadSides(sides: readonly Side[], folder: string): Promise<Record<string, string | number>> {
  const threads = os.availableParallelism();
  const machine: Record<string, string | number> = { cpu: os.cpus()[0]?.model.trim() ?? 'unknown', cores: threads };
  for (const { side, precision, worker } of sides) {
    const answer = await worker.ask({ do: 'load', folder, ...(side === 'pytorch' ? { precision, threads } : {}) });
    if (side === 'pytorch') machine.torch = String(answer.torch);
    else {
      machine.engine = `${String(answer.engine)} ${String(answer.library)}`;
      machine.parameters = Number(answer.parameters);
    }
  }
  return machine;
}

/** What is compared of each work, by the name of the answer's value. Random draws cannot be. */
const QUANTITIES: Readonly<Record<Work, Readonly<Record<string, string>>>> = {
  train: { value: 'training loss' },
  rollout: {},
  replay: { value: 'mean replayed log p' },
  grpo: { reward: 'reward of fixed codes', loss: 'GRPO loss', gradNorm: 'GRPO gradient norm' },
};

/** One run of each that is not timed; its values are compared while the weights are still the same. Training comes last. */
async function firstRuns(sides: readonly Side[], works: readonly Work[]): Promise<Agreement[]> {
  const found: Agreement[] = [];
  for (const work of (['rollout', 'replay', 'grpo', 'train'] as const).filter((name) => works.includes(name))) {
    const answers = new Map<string, Answer>();
    for (const { side, precision, worker } of sides) {
      // A step draws its own images; what is compared are recorded ones.
      const checked = work === 'grpo' ? await worker.ask({ do: 'check' }) : undefined;
      const first = await worker.ask(commandOf(work, side));
      answers.set(`${side} ${precision}`, checked ?? first);
    }
    for (const [name, quantity] of Object.entries(QUANTITIES[work])) {
      for (const precision of PRECISIONS) {
        const [ours, theirs] = [answers.get(`unilab ${precision}`), answers.get(`pytorch ${precision}`)];
        if (ours && theirs)
          found.push({ quantity, precision, unilab: Number(ours[name]), pytorch: Number(theirs[name]) });
      }
    }
  }
  return found;
}

async function timedRuns(sides: readonly Side[], works: readonly Work[], repeats: number): Promise<Timing[]> {
  const answers = new Map<string, Answer[]>();
  for (let repeat = 0; repeat < repeats; repeat++) {
    // Every other round goes backwards, so that no side always runs after the same neighbor.
    const order = repeat % 2 ? [...sides].reverse() : sides;
    for (const work of works) {
      for (const { side, precision, worker } of order) {
        const key = `${work} ${side} ${precision}`;
        answers.set(key, [...(answers.get(key) ?? []), await worker.ask(commandOf(work, side))]);
      }
    }
    console.error(`unilab bench: round ${repeat + 1} of ${repeats}`);
  }
  return works.flatMap((work) =>
    sides.map(({ side, precision }) => {
      const runs = answers.get(`${work} ${side} ${precision}`) ?? [];
      const [seconds, cpu] = [runs.map((run) => Number(run.seconds)), runs.map((run) => Number(run.cpuSeconds))];
      return { work, side, precision, seconds, median: median(seconds), cpuMedian: median(cpu) };
    }),
  );
}

async function profiles({ worker }: Side, works: readonly Work[]): Promise<BenchReport['profile']> {
  const found: Partial<Record<Work, WorkProfile>> = {};
  for (const work of works) found[work] = (await worker.ask({ do: 'profile', work })) as unknown as WorkProfile;
  return found;
}

function commandOf(work: Work, side: Timing['side']): Record<string, unknown> {
  // UniLab's loop has its learning rate from the same constant.
  return work === 'train' && side === 'pytorch' ? { do: work, learningRate: 1e-3 } : { do: work };
}
