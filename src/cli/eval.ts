/** `unilab eval WHAT`: held-out scores of the mini checkpoints, and of the scorers that measure them, with intervals. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { existsSync } from 'node:fs';
import { startEngine } from '../engine';
import { SceneDetector } from '../miniworld/detector';
import { readSafetensors } from '../io';
import { dataFolder } from '../io/package-root';
import { MiniClip } from '../models/scorers/mini-clip';
import { MiniLooks } from '../models/scorers/mini-looks';
import { MagvitTokenizer } from '../models/showo/magvit';
import { MAGVIT_MINI } from '../models/showo/mini';
import { loadTokenizer } from '../text';
import { type Command, UsageError } from './command';
import { evaluateClip, evaluateDetector } from '../miniworld/evaluation/scorers';
import { evaluateAttributes } from '../miniworld/evaluation/attributes';
import { type EvalReport, printMetrics } from '../miniworld/evaluation/metrics';
import { evaluateMiniWorld } from '../miniworld/evaluation/mini-world';
import { writeScorerCard } from '../miniworld/evaluation/scorer-card';
import { MINI_MODELS, type MiniModel } from '../miniworld/evaluation/mini-models';
import { writeModelCard } from '../miniworld/evaluation/model-card';
import { saveSheet } from '../miniworld/evaluation/sheet';

const TARGETS = ['mini-world', 'detector', 'clip', 'face', 'figure'] as const;
type Target = (typeof TARGETS)[number];

const SCORER_FOLDERS = {
  detector: 'scene-reader',
  clip: 'mini-clip',
  face: 'mini-face',
  figure: 'mini-figure',
} as const;

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

export const command: Command = {
  summary: 'held-out scores of the mini checkpoints and their scorers, with intervals',
  usage: `unilab eval mini-world | detector | clip | face | figure [--model M] [--checkpoint FOLDER] [--n N]
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
  --training FOLDER     where the card finds STAGE/curve.jsonl (default out/train)
  --json                one JSON object on standard output: {checkpoint, seed, n, metrics: {name: {value, ci95, n}}}`,
  async run(args) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
    const target = positionals[0] as Target;
    if (!TARGETS.includes(target) || positionals.length > 1)
      throw new UsageError(`say what to evaluate: ${TARGETS.join(', ')}`);
    if (values.split !== undefined && values.split !== 'heldout' && values.split !== 'train')
      throw new UsageError(`--split is heldout or train, got '${values.split}'`);
    if (!isMiniModel(values.model))
      throw new UsageError(`--model is ${Object.keys(MINI_MODELS).join(', ')}, got '${values.model}'`);
    const mini = MINI_MODELS[values.model];
    const folder = values.checkpoint ?? dataFolder('checkpoints', target === 'mini-world' ? mini.folder : SCORER_FOLDERS[target]); // prettier-ignore
    const n = number('n', values.n, target === 'mini-world' ? 400 : 300, 1);
    const seed = number('seed', values.seed, 1000, 0);
    const sampler = {
      ...(mini.sampler.steps === undefined ? {} : { steps: number('steps', values.steps, mini.sampler.steps, 1) }),
      guidanceScale: real('guidance', values.guidance, mini.sampler.guidanceScale),
      temperature: real('temperature', values.temperature, mini.sampler.temperature),
    };
    const engine = await startEngine();
    const started = performance.now();
    const { metrics, settings, samples } = await measure(target, folder, n, seed, { mini, sampler, split: values.split }); // prettier-ignore
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    const report: EvalReport = {
      checkpoint: path.relative(process.cwd(), folder) || '.',
      seed,
      n,
      metrics,
      settings: { ...settings, engine: engine.engine, precision: engine.precision, seconds },
    };
    if (values.sheet && samples) await saveSheet(values.sheet, samples.slice(0, 32));
    if (values.card) {
      if (target === 'mini-world') await writeModelCard(mini, folder, report, values.training);
      else await writeScorerCard(folder, target, report, path.join(values.training, target, 'curve.jsonl'));
      console.error(`written: ${path.join(folder, 'README.md')}`);
    }
    if (values.json) console.log(JSON.stringify(report));
    else printMetrics(metrics);
    return 0;
  },
};

function isMiniModel(name: string): name is keyof typeof MINI_MODELS {
  return name in MINI_MODELS;
}

interface MeasureOptions {
  readonly mini: MiniModel;
  readonly sampler: MiniModel['sampler'];
  readonly split?: 'heldout' | 'train';
}

async function measure(target: Target, folder: string, n: number, seed: number, options: MeasureOptions) {
  if (target === 'detector') {
    const detector = await SceneDetector.load(folder);
    return {
      metrics: await evaluateDetector(detector, await imageTokenizer(), n, seed),
      settings: {},
      samples: undefined,
    };
  }
  if (target === 'clip') {
    const clip = await MiniClip.load(folder);
    return { metrics: await evaluateClip(clip, await imageTokenizer(), n, seed), settings: {}, samples: undefined };
  }
  if (target === 'face' || target === 'figure') {
    const scorer = await MiniLooks.load(SCORER_FOLDERS[target], folder);
    return {
      metrics: await evaluateAttributes(scorer, await imageTokenizer(), n, seed),
      settings: {},
      samples: undefined,
    };
  }
  const { mini, sampler, split = 'heldout' } = options;
  const detector = await SceneDetector.load();
  const subject = await mini.load(folder, sampler);
  const progress = (done: string) => console.error(`eval mini-world: ${done}`);
  const { metrics, samples } = await evaluateMiniWorld(subject, detector, loadTokenizer(), {
    n,
    seed,
    split,
    progress,
  });
  return { metrics, samples, settings: { ...sampler, split } };
}

/** The image tokenizer that ships; without it the scorers are measured on renderings alone. */
async function imageTokenizer(): Promise<MagvitTokenizer | undefined> {
  const file = dataFolder('checkpoints', 'showo-mini', 'tokenizer.safetensors');
  if (existsSync(file)) return MagvitTokenizer.fromTensors(MAGVIT_MINI, await readSafetensors(file), file);
  console.error(`unilab eval: there is no image tokenizer at ${file}; measuring on renderings alone`);
  return undefined;
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
