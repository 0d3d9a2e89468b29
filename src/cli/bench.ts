/** `unilab bench`: the same work in UniLab and in PyTorch, side by side in one run. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Precision } from '../engine';
import { packageRoot } from '../io/package-root';
import type { BenchSizes } from './bench/inputs';
import { type Answer, LineWorker } from './bench/line-worker';
import {
  type Agreement,
  type BenchReport,
  formatReport,
  median,
  ratiosOf,
  type Timing,
  type Work,
  type WorkProfile,
  WORKS,
} from './bench/report';
import { findTorch, torchScript } from './bench/torch';
import { type Command, UsageError } from './command';

const PRECISIONS = ['bf16', 'float32'] as const;

export const command: Command = {
  summary: 'times training, rollout and replay beside PyTorch',
  usage: `unilab bench [--json] [--repeats N] [--work NAMES] [--precision bf16|float32|both] [--small] [--python FILE] [--no-torch]
       unilab bench --model NAME --random [--json] [--precision bf16|float32] [--context LIST] [--tokens N] [--folder DIR]

Times one training step, one guided MaskGIT rollout and one replay with gradient of Show-o mini, on the same weights
and inputs, in turns with PyTorch (autocast for bf16, fused attention), and checks that both compute the same numbers.
  --json        the whole report as JSON on stdout
  --repeats N   runs of each (default 7, at least 1); medians are reported
  --work NAMES  of ${WORKS.join(',')} (default: all)
  --precision   default: both
  --small       tiny batches: to see that it works, not how fast it is
  --python FILE a Python with PyTorch; default: UNILAB_TORCH_PYTHON, .venv/torch (made by \`make torch\`), python3
  --no-torch    UniLab alone

With --model: a model of its published size, with random weights, is written in bf16, loaded in a process of its own and
made to work. Printed: load time, resident memory, and what the work costs: for Janus a token after contexts of several
lengths, for Show-o a guided step of MaskGIT for images of several sizes, and their decoding to pixels. janus-pro-1b
needs 4 GB of disk and 9 GB of memory, showo-1.3b as much; -small are the same at a hundredth of the size.
  --model NAME  janus-pro-1b, showo-1.3b, janus-small, showo-small
  --random      random weights; must be said
  --context L   lengths of context (default 64,256,1024), or codes of an image (default 256,1024: 256 and 512 pixels)
  --tokens N    timed tokens, or steps, at each length (default 8; steps 1)
  --folder DIR  where the weights are written meanwhile (default: the system's temporary folder)`,
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean', default: false },
        repeats: { type: 'string', default: '7' },
        work: { type: 'string', default: WORKS.join(',') },
        precision: { type: 'string', default: 'both' },
        small: { type: 'boolean', default: false },
        python: { type: 'string' },
        'no-torch': { type: 'boolean', default: false },
        worker: { type: 'string' },
        model: { type: 'string' },
        random: { type: 'boolean', default: false },
        context: { type: 'string' },
        tokens: { type: 'string' },
        folder: { type: 'string' },
        'model-worker': { type: 'string' },
      },
    });
    if (values['model-worker'] !== undefined) {
      const { serveLargeModel } = require('./bench/large-worker') as typeof import('./bench/large-worker');
      await serveLargeModel(values['model-worker'] as Precision);
      return 0;
    }
    if (values.model !== undefined) return benchModel({ ...values, model: values.model });
    if (values.worker !== undefined) {
      // Loaded by the workers only: the parent needs no engine.
      const { serveBench } = require('./bench/worker') as typeof import('./bench/worker');
      await serveBench(values.worker as Precision);
      return 0;
    }
    const repeats = Number(values.repeats);
    if (!Number.isInteger(repeats) || repeats < 1)
      throw new UsageError(`--repeats needs a whole number from 1, got '${values.repeats}'`);
    const works = values.work.split(',').map((name) => {
      const work = WORKS.find((known) => known === name.trim());
      if (!work) throw new UsageError(`--work: there is no '${name}'; there are ${WORKS.join(', ')}`);
      return work;
    });
    const precisions = PRECISIONS.filter((name) => values.precision === 'both' || values.precision === name);
    if (precisions.length === 0)
      throw new UsageError(`--precision: '${values.precision}'; expected bf16, float32 or both`);
    const torch = values['no-torch'] ? { reason: '--no-torch was given' } : findTorch(values.python);
    const report = await bench({ repeats, works, precisions, torch, sizes: values.small ? SMALL : {} });
    console.log(values.json ? JSON.stringify(report, null, 2) : formatReport(report));
    return 0;
  },
};

/** `--model`: see `bench/large-model`. */
async function benchModel(values: {
  model: string;
  random: boolean;
  json: boolean;
  precision: string;
  context?: string;
  tokens?: string;
  folder?: string;
}): Promise<number> {
  const { benchLargeModel, formatLargeReport } = require('./bench/large-model') as typeof import('./bench/large-model');
  const { LARGE_MODELS, largeModel } = require('./bench/large-models') as typeof import('./bench/large-models');
  const { model, folder } = values;
  if (!LARGE_MODELS.includes(model))
    throw new UsageError(`--model: there is no '${model}'; there are ${LARGE_MODELS.join(', ')}`);
  if (!values.random) throw new UsageError(`--model measures random weights: say --random`);
  const precision = PRECISIONS.find((name) => name === (values.precision === 'both' ? 'bf16' : values.precision));
  if (!precision) throw new UsageError(`--precision: '${values.precision}'; expected bf16 or float32`);
  const positive = (name: string, text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1)
      throw new UsageError(`--${name} needs whole numbers from 1, got '${text}'`);
    return value;
  };
  const lengths = values.context?.split(',').map((part) => positive('context', part));
  const count = positive('tokens', values.tokens ?? (largeModel(model).work === 'tokens' ? '8' : '1'));
  const report = await benchLargeModel({ model, precision, lengths, count, folder });
  console.log(values.json ? JSON.stringify(report, null, 2) : formatLargeReport(report));
  return 0;
}

const SMALL: Partial<BenchSizes> = { images: 2, asked: 1, questions: 2, texts: 1, rollouts: 1, steps: 2, replays: 1 };

interface BenchOptions {
  readonly repeats: number;
  readonly works: readonly Work[];
  readonly precisions: readonly ('bf16' | 'float32')[];
  readonly torch: ReturnType<typeof findTorch>;
  readonly sizes: Partial<BenchSizes>;
}

interface Side {
  readonly side: Timing['side'];
  readonly precision: Timing['precision'];
  readonly worker: LineWorker;
}

async function bench({ repeats, works, precisions, torch, sizes }: BenchOptions): Promise<BenchReport> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'unilab-bench-'));
  const sides: Side[] = [];
  try {
    for (const precision of precisions) {
      const program = path.join(packageRoot(), 'bin', 'unilab');
      const worker = new LineWorker(`UniLab (${precision})`, process.execPath, [
        program,
        'bench',
        '--worker',
        precision,
      ]);
      sides.push({ side: 'unilab', precision, worker });
    }
    if ('python' in torch) {
      for (const precision of precisions) {
        sides.push({
          side: 'pytorch',
          precision,
          worker: new LineWorker(`PyTorch (${precision})`, torch.python, [torchScript()]),
        });
      }
    }
    console.error('unilab bench: preparing weights and inputs');
    const prepared = (await sides[0].worker.ask({ do: 'prepare', folder, sizes })).sizes as BenchSizes;
    const machine: Record<string, string | number> = {
      cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
      cores: os.availableParallelism(),
    };
    for (const { side, precision, worker } of sides) {
      const more = side === 'pytorch' ? { precision, threads: os.availableParallelism() } : {};
      const answer = await worker.ask({ do: 'load', folder, ...more });
      if (side === 'pytorch') machine.torch = String(answer.torch);
      else
        Object.assign(machine, {
          engine: `${String(answer.engine)} ${String(answer.library)}`,
          parameters: Number(answer.parameters),
        });
    }
    const agreement = await firstRuns(sides, works);
    const timings = await timedRuns(sides, works, repeats);
    const profile = await profiles(sides[0], works);
    const skipped = 'reason' in torch ? { pytorchSkipped: torch.reason } : {};
    return {
      machine,
      sizes: { ...prepared },
      repeats,
      timings,
      ratios: ratiosOf(timings),
      agreement,
      profile,
      ...skipped,
    };
  } finally {
    for (const { worker } of sides) worker.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** One run of each that is not timed; its values are compared while the weights are still the same. Training comes last. */
async function firstRuns(sides: readonly Side[], works: readonly Work[]): Promise<Agreement[]> {
  const quantities: Readonly<Partial<Record<Work, string>>> = { train: 'training loss', replay: 'mean replayed log p' };
  const found: Agreement[] = [];
  for (const work of (['rollout', 'replay', 'train'] as const).filter((name) => works.includes(name))) {
    const values = new Map<string, number>();
    for (const { side, precision, worker } of sides) {
      values.set(`${side} ${precision}`, Number((await worker.ask(commandOf(work, side))).value));
    }
    const quantity = quantities[work];
    for (const precision of PRECISIONS) {
      const [unilab, pytorch] = [values.get(`unilab ${precision}`), values.get(`pytorch ${precision}`)];
      if (quantity && unilab !== undefined && pytorch !== undefined)
        found.push({ quantity, precision, unilab, pytorch });
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
