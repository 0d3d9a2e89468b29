/** `unilab bench`: the same work in UniLab and in PyTorch, side by side in one run. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type BenchPrecision, compareWithTorch, PRECISIONS } from '../../bench/compare';
import { type BenchReport, formatReport, WORKS } from '../../bench/report';
import { MODELS } from '../../bench/sizes';
import { findTorch } from '../../bench/torch';
import type { Precision } from '../engine';
import { writeFileAtomic } from '../io/write-file';
import { type Command, placeFor, UsageError } from './command';

const OPTIONS = {
  json: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  repeats: { type: 'string' },
  minutes: { type: 'string' },
  models: { type: 'string' },
  work: { type: 'string', default: WORKS.join(',') },
  precision: { type: 'string', default: 'bf16' },
  small: { type: 'boolean', default: false },
  profile: { type: 'boolean', default: false },
  out: { type: 'string' },
  python: { type: 'string' },
  'no-torch': { type: 'boolean', default: false },
  'no-compile': { type: 'boolean', default: false },
  worker: { type: 'string' },
  memory: { type: 'boolean', default: false },
  steps: { type: 'string', default: '500' },
  'memory-worker': { type: 'string' },
  decoding: { type: 'boolean', default: false },
  model: { type: 'string' },
  random: { type: 'boolean', default: false },
  context: { type: 'string' },
  tokens: { type: 'string' },
  folder: { type: 'string' },
  'model-worker': { type: 'string' },
} as const;

type Values = ReturnType<typeof parse>;
const parse = (args: readonly string[]) => parseArgs({ args: [...args], options: OPTIONS }).values;

export const command: Command = {
  summary: 'times training, rollouts, replay and a GRPO step beside PyTorch',
  usage: `unilab bench [--quick] [--models LIST] [--work LIST] [--precision bf16|float32] [--repeats N] [--minutes N]
             [--out FILE] [--profile] [--small] [--json] [--python FILE] [--no-torch] [--no-compile]
       unilab bench --memory [--steps N] [--out FILE]
       unilab bench --decoding [--json] [--repeats N] [--precision bf16|float32]
       unilab bench --model NAME --random [--json] [--precision bf16|float32] [--context LIST] [--tokens N] [--folder DIR]

Times training steps on batches as they come in a real run, guided rollouts of Show-o (masked decoding) and of Janus (code
after code), replay with gradient and whole GRPO steps (rollout, rewards, update), at several sizes of model: UniLab traced
and untraced, PyTorch with autocast and fused attention, the same with compiled blocks, and PyTorch in float32; on the same
weights and inputs, in turns. It is checked that both compute the same numbers.
  --quick       5 rounds at most, 14 minutes at most
  --models LIST of ${MODELS.join(',')} (default: all): parameters of the language model
  --work LIST   of ${WORKS.join(',')} (default: all)
  --precision   of matrix products (default bf16); float32: UniLab and PyTorch without rounding
  --repeats N   rounds at most (default 9, at least 1); medians and quartiles are reported
  --minutes N   no round begins after so many minutes, of which every model has its share (default 60)
  --out FILE    the whole report as JSON, and beside it the figure as SVG
  --profile     where the time goes, operation by operation
  --small       tiny batches: to see that it works, not how fast it is
  --python FILE a Python with PyTorch; default: UNILAB_TORCH_PYTHON, .venv/torch (made by \`make torch\`), python3
  --no-torch    UniLab alone
  --no-compile  without compiled PyTorch, which needs a C++ compiler

With --memory: trains Show-o mini on real batches for N steps (default 500) and prints resident memory, and the most memory
of a traced step over an untraced one's.

With --decoding: images drawn code after code, at Janus mini's size with random weights. Printed: what a step costs at 64,
256 and 1,024 codes an image and with more images, traced and operation by operation.

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
    const values = parse(args);
    const typed = `unilab bench ${args.join(' ')}`.trim();
    // What a worker needs is loaded by workers alone: the process that waits for them starts no engine.
    if (values['model-worker'] !== undefined) {
      const { serveLargeModel } = require('../../bench/large/worker') as typeof import('../../bench/large/worker');
      await serveLargeModel(values['model-worker'] as Precision);
    } else if (values['memory-worker'] !== undefined) {
      const { serveMemory } = require('../../bench/memory-worker') as typeof import('../../bench/memory-worker');
      await serveMemory(values['memory-worker'] as Precision);
    } else if (values.worker !== undefined) {
      const { serveBench } = require('../../bench/worker') as typeof import('../../bench/worker');
      await serveBench(values.worker as Precision);
    } else if (values.memory) await benchMemory(values, typed);
    else if (values.model !== undefined) await benchLarge(values, values.model);
    else if (values.decoding) await benchSteps(values);
    else await benchMini(values, typed);
    return 0;
  },
};

async function benchMini(values: Values, typed: string): Promise<void> {
  const [repeats, minutes] = values.quick ? ['5', '14'] : ['9', '60'];
  await placeFor(values.out);
  const report = await compareWithTorch({
    command: typed,
    models: chosen('models', values.models ?? MODELS.join(','), MODELS),
    repeats: wholeNumber('repeats', values.repeats ?? repeats),
    minutes: wholeNumber('minutes', values.minutes ?? minutes),
    works: chosen('work', values.work, WORKS),
    precision: precisionOf(values),
    torch: values['no-torch'] ? { reason: '--no-torch was given' } : findTorch(values.python),
    small: values.small,
    compile: !values['no-compile'],
    profile: values.profile,
  });
  console.log(values.json ? JSON.stringify(report, null, 2) : formatReport(report));
  if (values.out !== undefined) await writeReport(values.out, report);
}

async function writeReport(file: string, report: BenchReport): Promise<void> {
  const { benchFigure } = require('../../bench/figure') as typeof import('../../bench/figure');
  const { svgOf } = require('../display/plot') as typeof import('../display/plot');
  await writeFileAtomic(file, `${JSON.stringify(report, null, 1)}\n`);
  const { dir, name } = path.parse(file);
  await writeFileAtomic(path.join(dir, `${name}.svg`), await svgOf(benchFigure(report)));
}

async function benchMemory(values: Values, typed: string): Promise<void> {
  const { FEWEST_STEPS, formatMemory, measureMemory } =
    require('../../bench/memory') as typeof import('../../bench/memory');
  const steps = wholeNumber('steps', values.steps);
  if (steps < FEWEST_STEPS)
    throw new UsageError(`--steps is ${steps}: memory is compared over ${FEWEST_STEPS} steps at least`);
  await placeFor(values.out);
  const report = await measureMemory(steps, typed);
  console.log(values.json ? JSON.stringify(report, null, 2) : formatMemory(report));
  if (values.out !== undefined) await writeFileAtomic(values.out, `${JSON.stringify(report, null, 1)}\n`);
}

async function benchSteps(values: Values): Promise<void> {
  const { benchDecoding, formatDecoding } = require('../../bench/decoding') as typeof import('../../bench/decoding');
  const report = await benchDecoding(precisionOf(values), wholeNumber('repeats', values.repeats ?? '7'));
  console.log(values.json ? JSON.stringify(report, null, 2) : formatDecoding(report));
}

async function benchLarge(values: Values, model: string): Promise<void> {
  const { benchLargeModel, formatLargeReport } =
    require('../../bench/large/measure') as typeof import('../../bench/large/measure');
  const { LARGE_MODELS, largeModel } = require('../../bench/large/models') as typeof import('../../bench/large/models');
  if (!LARGE_MODELS.includes(model))
    throw new UsageError(`--model: there is no '${model}'; there are ${LARGE_MODELS.join(', ')}`);
  if (!values.random) throw new UsageError(`--model measures random weights: say --random`);
  const precision = precisionOf(values);
  const lengths = values.context?.split(',').map((part) => wholeNumber('context', part));
  const count = wholeNumber('tokens', values.tokens ?? (largeModel(model).work === 'tokens' ? '8' : '1'));
  const report = await benchLargeModel({ model, precision, lengths, count, folder: values.folder });
  console.log(values.json ? JSON.stringify(report, null, 2) : formatLargeReport(report));
}

function chosen<Name extends string>(option: string, list: string, known: readonly Name[]): Name[] {
  return list.split(',').map((text) => {
    const name = known.find((one) => one === text.trim());
    if (!name) throw new UsageError(`--${option}: there is no '${text}'; there are ${known.join(', ')}`);
    return name;
  });
}

function precisionOf({ precision }: Values): BenchPrecision {
  const found = PRECISIONS.find((name) => name === precision);
  if (!found) throw new UsageError(`--precision: '${precision}'; expected bf16 or float32`);
  return found;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`--${name} needs whole numbers from 1, got '${text}'`);
  return value;
}
