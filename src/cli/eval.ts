/** `unilab eval WHAT`: held-out scores of the mini checkpoints, and of the scorers that measure them, with intervals. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startEngine } from '../engine';
import { suites } from '../eval';
import { dataFolder } from '../io/package-root';
import { type Command, UsageError } from './command';
import { command as suiteCommand, isSuiteTarget, suiteUsage } from './eval-suite';
import { evaluateMiniModel, evaluateScorer, isScorer, SCORERS, type ScorerName } from '../miniworld/evaluation/targets';
import { type EvalReport, printMetrics } from '../miniworld/evaluation/metrics';
import { writeScorerCard } from '../miniworld/evaluation/scorer-card';
import { MINI_SUITES } from '../miniworld/suites';
import { MINI_MODELS } from '../miniworld/evaluation/mini-models';
import { writeModelCard } from '../miniworld/evaluation/model-card';
import { saveSheet } from '../miniworld/evaluation/sheet';

const TARGETS = ['mini-world', ...Object.keys(SCORERS)];

const OPTIONS = {
  model: { type: 'string', default: 'showo' },
  checkpoint: { type: 'string' },
  n: { type: 'string' },
  seed: { type: 'string' },
  split: { type: 'string' },
  steps: { type: 'string' },
  guidance: { type: 'string' },
  temperature: { type: 'string' },
  sheet: { type: 'string' },
  card: { type: 'boolean', default: false },
  training: { type: 'string', default: path.join('out', 'train') },
  json: { type: 'boolean', default: false },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
type Values = ReturnType<typeof parse>['values'];

export const command: Command = {
  summary: "the papers' benchmarks on a model; held-out scores of the mini checkpoints and their scorers",
  usage: `${suiteUsage}

unilab eval mini-world | detector | clip | face | figure [--model M] [--checkpoint FOLDER] [--n N]
            [--seed N] [--card] [--json]

mini-world  a mini model on scenes with combinations it never saw: images from captions, read by the independent
            scene detector (object, colour, count, position, background; exact: all of them and nothing else), answers to
            questions about images (qa, by type), facts read in context; ceiling/...: the detector on the true
            images as the image tokenizer gives them back
detector    the scene detector itself, on fresh renderings (real/...) and through the tokenizer (tokenizer/...)
clip        mini_clip: how often the true caption is nearer than one that differs in one thing (choice, retrieval)
face        mini_face: the looks of people it was not taught on, and whose held-out view is nearest to whom (concept)
figure      mini_figure: the same for people, animals and things

  --model M             mini-world: showo (default), janus or chameleon
  --checkpoint FOLDER   default: the one that ships in data/checkpoints
  --n N                 scenes (mini-world: 400) or images (scorers: 300)
  --seed N              default 1000
  --split S             mini-world: heldout (default) or train
  --steps N             mini-world: MaskGIT steps (default 12; showo alone)
  --guidance W          mini-world: guidance scale (default 2)
  --temperature T       mini-world: noise of re-masking (showo), temperature of codes (others; default 0.5, 0.7)
  --sheet FILE.png      mini-world: true and generated images side by side
  --card                writes the checkpoint's README.md (mini-world: with the training curve)
  --training FOLDER     where the card finds STAGE/metrics.jsonl (default out/train)
  --json                one JSON object on standard output: {checkpoint, seed, n, metrics: {name: {value, ci95, n}}}`,
  async run(args) {
    if (isSuiteTarget(args[0])) return suiteCommand.run(args);
    const { values, positionals } = parse(args);
    const [target, ...rest] = positionals;
    if (!TARGETS.includes(target) || rest.length > 0)
      throw new UsageError(
        `say what to evaluate, first: ${[...Object.keys(suites.SUITES), ...Object.keys(MINI_SUITES), ...TARGETS].join(', ')}`,
      );
    const started = performance.now();
    const seed = number('seed', values.seed, 1000, 0);
    const measured = isScorer(target)
      ? await measureScorer(target, values, seed)
      : await measureMiniModel(values, seed);
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    const { engine, precision } = await startEngine();
    const report: EvalReport = {
      checkpoint: path.relative(process.cwd(), measured.folder) || '.',
      seed,
      n: measured.n,
      metrics: measured.metrics,
      settings: { ...measured.settings, engine, precision, seconds },
    };
    if (values.card) {
      await measured.writeCard(report);
      console.error(`written: ${path.join(measured.folder, 'README.md')}`);
    }
    if (values.json) console.log(JSON.stringify(report));
    else printMetrics(report.metrics);
    return 0;
  },
};

/** What was measured, and how its card is written. */
interface Measured {
  readonly folder: string;
  readonly n: number;
  readonly metrics: EvalReport['metrics'];
  readonly settings: NonNullable<EvalReport['settings']>;
  writeCard(report: EvalReport): Promise<void>;
}

async function measureScorer(target: ScorerName, values: Values, seed: number): Promise<Measured> {
  const folder = values.checkpoint ?? dataFolder('checkpoints', SCORERS[target].folder);
  const n = number('n', values.n, 300, 1);
  await startEngine();
  return {
    folder,
    n,
    metrics: await evaluateScorer(target, folder, n, seed),
    settings: {},
    writeCard: (report) => writeScorerCard(folder, target, report, path.join(values.training, target, 'metrics.jsonl')),
  };
}

async function measureMiniModel(values: Values, seed: number): Promise<Measured> {
  const { model, split = 'heldout' } = values;
  if (split !== 'heldout' && split !== 'train') throw new UsageError(`--split is heldout or train, got '${split}'`);
  if (!isMiniModel(model)) throw new UsageError(`--model is ${Object.keys(MINI_MODELS).join(', ')}, got '${model}'`);
  const mini = MINI_MODELS[model];
  const folder = values.checkpoint ?? dataFolder('checkpoints', mini.folder);
  const n = number('n', values.n, 400, 1);
  const sampler = {
    ...(mini.sampler.steps === undefined ? {} : { steps: number('steps', values.steps, mini.sampler.steps, 1) }),
    guidanceScale: real('guidance', values.guidance, mini.sampler.guidanceScale),
    temperature: real('temperature', values.temperature, mini.sampler.temperature),
  };
  await startEngine();
  const progress = (done: string) => console.error(`eval mini-world: ${done}`);
  const { metrics, samples } = await evaluateMiniModel(folder, sampler, { n, seed, split, progress });
  if (values.sheet) await saveSheet(values.sheet, samples.slice(0, 32));
  return {
    folder,
    n,
    metrics,
    settings: { ...sampler, split },
    writeCard: (report) => writeModelCard(mini, folder, report, values.training),
  };
}

function isMiniModel(name: string): name is keyof typeof MINI_MODELS {
  return name in MINI_MODELS;
}

function number(name: string, given: string | undefined, fallback: number, least: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (given === '' || !Number.isInteger(value) || value < least)
    throw new UsageError(`--${name} needs a whole number of at least ${least}, got '${given}'`);
  return value;
}

function real(name: string, given: string | undefined, fallback: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (given === '' || !Number.isFinite(value) || value < 0)
    throw new UsageError(`--${name} needs a number of at least 0, got '${given}'`);
  return value;
}
