/** `unilab bench`: the same work in UniLab and in PyTorch, side by side in one run. */
import { parseArgs } from 'node:util';
import { compareWithTorch, PRECISIONS, SMALL_SIZES } from '../../bench/compare';
import { formatReport, WORKS } from '../../bench/report';
import { findTorch } from '../../bench/torch';
import type { Precision } from '../engine';
import { type Command, UsageError } from './command';

const OPTIONS = {
  json: { type: 'boolean', default: false },
  repeats: { type: 'string', default: '7' },
  work: { type: 'string', default: WORKS.join(',') },
  precision: { type: 'string', default: 'both' },
  small: { type: 'boolean', default: false },
  python: { type: 'string' },
  'no-torch': { type: 'boolean', default: false },
  worker: { type: 'string' },
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
  summary: 'times training, rollout, replay and a GRPO step beside PyTorch',
  usage: `unilab bench [--json] [--repeats N] [--work NAMES] [--precision bf16|float32|both] [--small] [--python FILE] [--no-torch]
       unilab bench --decoding [--json] [--repeats N] [--precision bf16|float32]
       unilab bench --model NAME --random [--json] [--precision bf16|float32] [--context LIST] [--tokens N] [--folder DIR]

Times one training step, one guided MaskGIT rollout, one replay with gradient and one whole GRPO step (rollout, rewards,
update) of Show-o mini, on the same weights and inputs, in turns with PyTorch (autocast for bf16, fused attention), and
checks that both compute the same numbers.
  --json        the whole report as JSON on stdout
  --repeats N   runs of each (default 7, at least 1); medians are reported
  --work NAMES  of ${WORKS.join(',')} (default: all)
  --precision   default: both
  --small       tiny batches: to see that it works, not how fast it is
  --python FILE a Python with PyTorch; default: UNILAB_TORCH_PYTHON, .venv/torch (made by \`make torch\`), python3
  --no-torch    UniLab alone

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
    // What a worker needs is loaded by workers alone: the process that waits for them starts no engine.
    if (values['model-worker'] !== undefined) {
      const { serveLargeModel } = require('../../bench/large/worker') as typeof import('../../bench/large/worker');
      await serveLargeModel(values['model-worker'] as Precision);
    } else if (values.worker !== undefined) {
      const { serveBench } = require('../../bench/worker') as typeof import('../../bench/worker');
      await serveBench(values.worker as Precision);
    } else if (values.model !== undefined) await benchLarge(values, values.model);
    else if (values.decoding) await benchSteps(values);
    else await benchMini(values);
    return 0;
  },
};

async function benchMini(values: Values): Promise<void> {
  const works = values.work.split(',').map((name) => {
    const work = WORKS.find((known) => known === name.trim());
    if (!work) throw new UsageError(`--work: there is no '${name}'; there are ${WORKS.join(', ')}`);
    return work;
  });
  const precisions = PRECISIONS.filter((name) => values.precision === 'both' || values.precision === name);
  if (precisions.length === 0)
    throw new UsageError(`--precision: '${values.precision}'; expected bf16, float32 or both`);
  const report = await compareWithTorch({
    repeats: wholeNumber('repeats', values.repeats),
    works,
    precisions,
    torch: values['no-torch'] ? { reason: '--no-torch was given' } : findTorch(values.python),
    sizes: values.small ? SMALL_SIZES : {},
  });
  console.log(values.json ? JSON.stringify(report, null, 2) : formatReport(report));
}

async function benchSteps(values: Values): Promise<void> {
  const { benchDecoding, formatDecoding } = require('../../bench/decoding') as typeof import('../../bench/decoding');
  const precision = PRECISIONS.find((name) => name === (values.precision === 'both' ? 'bf16' : values.precision));
  if (!precision) throw new UsageError(`--precision: '${values.precision}'; expected bf16 or float32`);
  const report = await benchDecoding(precision, wholeNumber('repeats', values.repeats));
  console.log(values.json ? JSON.stringify(report, null, 2) : formatDecoding(report));
}

async function benchLarge(values: Values, model: string): Promise<void> {
  const { benchLargeModel, formatLargeReport } =
    require('../../bench/large/measure') as typeof import('../../bench/large/measure');
  const { LARGE_MODELS, largeModel } = require('../../bench/large/models') as typeof import('../../bench/large/models');
  if (!LARGE_MODELS.includes(model))
    throw new UsageError(`--model: there is no '${model}'; there are ${LARGE_MODELS.join(', ')}`);
  if (!values.random) throw new UsageError(`--model measures random weights: say --random`);
  const precision = PRECISIONS.find((name) => name === (values.precision === 'both' ? 'bf16' : values.precision));
  if (!precision) throw new UsageError(`--precision: '${values.precision}'; expected bf16 or float32`);
  const lengths = values.context?.split(',').map((part) => wholeNumber('context', part));
  const count = wholeNumber('tokens', values.tokens ?? (largeModel(model).work === 'tokens' ? '8' : '1'));
  const report = await benchLargeModel({ model, precision, lengths, count, folder: values.folder });
  console.log(values.json ? JSON.stringify(report, null, 2) : formatLargeReport(report));
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`--${name} needs whole numbers from 1, got '${text}'`);
  return value;
}
