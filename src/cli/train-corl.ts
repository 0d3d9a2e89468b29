/** `unilab train corl` and `unilab train paradigms`: a model draws and answers, and is reinforced in both (CoRL). */
import { parseArgs } from 'node:util';
import path from 'node:path';
import { startEngine } from '../engine';
import type { CorlTask } from '../data/corl-task';
import { help, resolveOptions } from '../io/options';
import { dataFolder } from '../io/package-root';
import { miniCorlSetup, miniCorlTasks, miniPilotRewards, thinkingBase } from '../miniworld/corl';
import {
  coldSftMini,
  coldSftOptions,
  corlMethod,
  corlMini,
  corlOptions,
  type CorlRunSetup,
  type CorlStage,
  corlStages,
  modelFolder,
  type Paradigm,
  paradigmModels,
  paradigms,
  paradigmSteps,
  runColdSft,
  runCorl,
  runParadigm,
} from '../recipes';
import { type Command, UsageError } from './command';
import { sayCompilations } from './compilations';
import { Interruption, presetIn, readConfig, StepBar } from './training';

const PRESETS = { paper: {}, mini: corlMini } as const;
const RUNS = [...Object.keys(corlStages), 'cold-sft', 'all'] as const;

/** What `train corl` and `train paradigms` have in common. */
const OPTIONS = {
  stage: { type: 'string', default: 'unified' },
  paradigm: { type: 'string', default: 'unified' },
  model: { type: 'string' },
  preset: { type: 'string', default: 'mini' },
  accuracy: { type: 'string', default: 'binary' },
  'cold-sft': { type: 'boolean', default: false },
  config: { type: 'string' },
  set: { type: 'string', multiple: true, default: [] as string[] },
  out: { type: 'string' },
  resume: { type: 'boolean', default: false },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: args.slice(1), options: OPTIONS }).values;
type Values = ReturnType<typeof parse>;

const COMMON = `  --model FOLDER   the checkpoint to start from (default: Janus mini); its text must be the mini world's
  --preset         mini (default) or paper: what differs is listed in src/recipes/corl.ts
  --accuracy       binary (default, as printed) or soft (as released)
  --config FILE    options as JSON; --set KEY=VALUE goes over it
  --out DIR        holds the runs: options, metrics, TensorBoard, samples, checkpoints, and DIR/RUN/model at its end
  --resume         go on with the runs in the folder

Scorers are small stand-ins, each under its own name: mini_clip's patches for LPIPS, captions of the frozen model for
BLIP's, spice_like for SPICE. Ctrl-C stops after the running step; the same command with --resume goes on, bit for bit.`;

export const command: Command = {
  summary: 'a model draws and answers, reinforced in both (CoRL / ULM-R1)',
  usage: `unilab train corl [--stage ${RUNS.join('|')}] [--model FOLDER] [--preset paper|mini] [--accuracy binary|soft]
                  [--cold-sft] [--config FILE] [--set KEY=VALUE ...] [--out DIR] [--resume]

  --stage          one stage (default unified; the others refine its model: --model DIR/unified/model), cold-sft, or all:
                   unified, then t2i, mcq and open from it, and DIR/understanding, the merge of the last two
  --cold-sft       with --stage all: supervised steps go first
${COMMON}

Options, with range, default (of the unified stage) and paper:

${help(corlOptions)}

Options of --stage cold-sft, which with seconds=S is the control of equal time:

${help(coldSftOptions)}`,
  run: (args) => follow(args, stages),
};

export const paradigmsCommand: Command = {
  summary: 'four ways to reinforce drawing and answering (the pilot study of CoRL)',
  usage: `unilab train paradigms [--paradigm ${Object.keys(paradigms).join('|')}] [--model FOLDER] [--preset paper|mini]
                        [--accuracy binary|soft] [--config FILE] [--set KEY=VALUE ...] [--out DIR] [--resume]

  --paradigm       separate, separate+merge, cycle or unified (default); all see as many groups of each kind. The reward
                   of images is mini_clip's score in the place of R_cycle and R_TIM, as the paper's pilot has CLIP's
${COMMON}

Options, with range, default and paper:

${help(corlOptions)}`,
  run: (args) => follow(args, pilot),
};

type Work = (given: {
  readonly values: Values;
  readonly setup: CorlRunSetup;
  readonly base: string;
  readonly tasks: Readonly<Record<CorlStage, CorlTask>>;
}) => AsyncGenerator<void, string[]>;

/** Runs it, watching for Ctrl-C between steps. @returns the exit status: 130 when it was stopped */
async function follow(args: readonly string[], work: Work): Promise<number> {
  const values = parse(args);
  const { accuracy, preset, resume } = values;
  if (accuracy !== 'binary' && accuracy !== 'soft')
    throw new UsageError(`--accuracy is binary or soft, got '${accuracy}'`);
  presetIn(PRESETS, preset);
  const out = values.out ?? path.join('out', args[0]);
  await startEngine();
  sayCompilations();
  const base = await thinkingBase(values.model ?? dataFolder('checkpoints', 'janus-mini'), out);
  const steps = work({ values, setup: miniCorlSetup(out, resume, { accuracy }), base, tasks: await miniCorlTasks() });
  const interruption = new Interruption();
  try {
    for (;;) {
      const { done, value } = await steps.next();
      if (done) {
        for (const folder of value) console.log(folder);
        return 0;
      }
      if (interruption.isAsked) {
        await steps.return([]);
        return 130;
      }
    }
  } finally {
    interruption.release();
  }
}

/** `train corl`. @returns folders of the models that it leaves */
async function* stages({ values, setup, base, tasks }: Parameters<Work>[0]): AsyncGenerator<void, string[]> {
  const { stage } = values;
  const { out } = setup;
  if (stage === 'cold-sft') {
    const options = sftOptions(values);
    const bar = new StepBar(options.steps, 'cold SFT');
    for await (const { step, loss } of runColdSft(setup, { name: stage, from: base, task: tasks.unified, options })) {
      bar.step(step, { loss });
      yield;
    }
    await bar.end(true);
    return [modelFolder(out, stage)];
  }
  if (isStage(stage)) {
    const options = stageOptions(stage, values);
    const bar = new StepBar(options.steps, stage);
    for await (const { step, metrics } of runCorl(setup, { name: stage, from: base, task: tasks[stage], options })) {
      bar.step(step, { reward: metrics.reward, grad_norm: metrics.grad_norm });
      yield;
    }
    await bar.end(true);
    return [modelFolder(out, stage)];
  }
  if (stage !== 'all') throw new UsageError(`--stage is ${RUNS.join(', ')}, got '${stage}'`);
  const coldSft = values['cold-sft'] ? resolveOptions(coldSftOptions, coldSftMini) : undefined;
  const names = Object.keys(corlStages) as CorlStage[];
  const options = Object.fromEntries(names.map((name) => [name, stageOptions(name, values)])) as Record<
    CorlStage,
    ReturnType<typeof stageOptions>
  >;
  const bar = new StepBar(
    names.reduce((sum, name) => sum + options[name].steps, coldSft?.steps ?? 0),
    'CoRL',
  );
  for await (const one of corlMethod(setup, { base, tasks, options, coldSft })) {
    const { stage: part } = one;
    if ('step' in one) bar.step(one.step.step, { part, reward: one.step.metrics.reward }, part);
    else if ('report' in one) bar.step(one.report.step, { part, loss: one.report.loss }, part);
    yield;
  }
  await bar.end(true);
  return [modelFolder(out, 't2i'), path.join(out, 'understanding')];
}

/** `train paradigms`. @returns folders of the models that it leaves */
async function* pilot({ values, setup, base, tasks }: Parameters<Work>[0]): AsyncGenerator<void, string[]> {
  const { paradigm } = values;
  if (!isParadigm(paradigm))
    throw new UsageError(`--paradigm is ${Object.keys(paradigms).join(', ')}, got '${paradigm}'`);
  const options = resolveOptions(corlOptions, { weights: { tim: 0 } }, ...layersOf(values));
  const bar = new StepBar(paradigmSteps(paradigm, options), paradigm);
  const pilots = { ...setup, rewards: miniPilotRewards };
  for await (const one of runParadigm(paradigm, pilots, { base, task: tasks.unified }, options)) {
    const { part } = one;
    if ('step' in one) bar.step(one.step.step, { part, reward: one.step.metrics.reward }, part);
    yield;
  }
  await bar.end(true);
  return paradigmModels(paradigm, setup.out);
}

const isStage = (name: string): name is CorlStage => Object.hasOwn(corlStages, name);
const isParadigm = (name: string): name is Paradigm => Object.hasOwn(paradigms, name);

const stageOptions = (stage: CorlStage, values: Values) =>
  resolveOptions(corlOptions, corlStages[stage], ...layersOf(values));

const layersOf = (values: Values) => [presetIn(PRESETS, values.preset), readConfig(values.config), values.set];

function sftOptions({ preset, config, set }: Values) {
  return resolveOptions(coldSftOptions, preset === 'mini' ? coldSftMini : {}, readConfig(config), set);
}
