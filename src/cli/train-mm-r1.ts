/** `unilab train mm-r1`: a model draws subjects that it meets for the first time, of the mini world or of a folder. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { XcotFolderTask, type XcotScorer } from '../data/xcot-folder';
import type { Evaluation } from '../data/task';
import { startEngine } from '../engine';
import { type Image, imagesToTensor } from '../io';
import { help, resolveOptions } from '../io/options';
import { mmR1Start } from '../miniworld/mm-r1';
import { miniXcotRewards } from '../miniworld/rewards';
import { MiniXcotTask } from '../miniworld/xcot-task';
import { mmR1Mini, mmR1Options, mmR1Variants } from '../recipes/mm-r1';
import { MmR1Run } from '../recipes/mm-r1-run';
import { modelFolder } from '../models/adaptation';
import { saveResult } from '../recipes/result-files';
import { mmR1RewardsFrom, type Reward, type RewardSample } from '../rewards';
import { type Command, UsageError } from './command';
import { sayCompilations } from './compilations';
import { countOf, Interruption, presetIn, readConfig, StepBar } from './training';

const PRESETS = { paper: {}, mini: mmR1Mini } as const;
const VARIANTS = Object.keys(mmR1Variants);

export const command: Command = {
  summary: 'images of subjects never seen, by thinking in text and images (MM-R1)',
  usage: `unilab train mm-r1 [--model FOLDER] [--data FOLDER] [--preset paper|mini] [--variant NAME] [--scorers FOLDER]
                   [--config FILE] [--set KEY=VALUE ...] [--out DIR] [--resume] [--held-out N]

  --model FOLDER   a Chameleon's checkpoint (default: Chameleon mini; where coldStart.steps is 0, the one that has had its own)
  --data FOLDER    X-CoT records as buildXcot (src/data/xcot-engine.ts) leaves them (default: the mini world's subjects)
  --preset         paper (default) or mini: what differs is listed in src/recipes/mm-r1.ts
  --variant NAME   a row of the paper's tables: ${VARIANTS.join(', ')}
  --scorers FOLDER dreamsim/ and pickscore/; default: mini_figure and mini_clip, small stand-ins
  --config FILE    options as JSON; --set KEY=VALUE goes over it
  --out DIR        the run's folder (default out/mm-r1/VARIANT): options, metrics, TensorBoard, samples, checkpoints;
                   at its end DIR/model, which --model of unilab eval and of every other command takes
  --resume         go on with the run in the folder
  --held-out N     items that are compared before and after (default: the task's own number)

Before and after are: for reinforcement and its control, what the cold start left and what came of it; for without-grpo,
the model as it came and what the cold start made of it; for base and reasoning, twice the same model.
Ctrl-C stops after the running step; the same command with --resume goes on, bit for bit, also after a kill.

Options, with range, default and paper:

${help(mmR1Options)}`,
  async run(args) {
    const { values } = parseArgs({
      args: args.slice(1), // behind the recipe's name
      options: {
        model: { type: 'string' },
        data: { type: 'string' },
        preset: { type: 'string', default: 'paper' },
        variant: { type: 'string', default: 'full' },
        scorers: { type: 'string' },
        config: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        out: { type: 'string' },
        resume: { type: 'boolean', default: false },
        'held-out': { type: 'string' },
      },
    });
    const { data, preset, variant, scorers, config, set, resume } = values;
    if (!VARIANTS.includes(variant))
      throw new UsageError(`--variant is one of ${VARIANTS.join(', ')}, got '${variant}'`);
    const heldOut = values['held-out'] === undefined ? undefined : countOf('held-out', values['held-out']);
    const changes = mmR1Variants[variant as keyof typeof mmR1Variants];
    const options = resolveOptions(mmR1Options, presetIn(PRESETS, preset), changes, readConfig(config), set);
    if (variant.startsWith('control') && options.controlSteps === 0)
      throw new UsageError(
        "the control needs --set controlSteps=N: reinforcement's seconds over those of a supervised step",
      );
    await startEngine();
    sayCompilations();
    const loaded = scorers === undefined ? undefined : await mmR1RewardsFrom(scorers);
    const rewards = loaded ?? (await miniXcotRewards());
    if (scorers === undefined && preset === 'paper')
      console.error(`without --scorers stand-ins run: ${rewards.similarity.name}, ${rewards.text.name}`);
    const task =
      data === undefined
        ? await MiniXcotTask.open()
        : await XcotFolderTask.open(data, [rewards.similarity, rewards.text].map(scorerOf));
    const { model = mmR1Start(options), out = path.join('out', 'mm-r1', variant) } = values;
    try {
      return await follow(await MmR1Run.open({ model, task, rewards, options, out, resume }), out, heldOut);
    } finally {
      loaded?.dispose();
    }
  },
};

/** A reward as a metric of held-out records. */
const scorerOf = (reward: Reward): XcotScorer => ({
  name: reward.name,
  score: async (drawn) => {
    const samples = drawn.map(({ example, image }): RewardSample => ({
      ...example,
      outputs: [],
      completion: '',
      image: ready(image),
    }));
    return (await reward(samples)).map(({ value }) => value);
  },
});

/** An image that is there already. */
const ready = (image: Image) => ({ bytes: () => Promise.resolve(image), pixels: () => imagesToTensor([image]) });

/** Everything of a run, with progress; leaves `result.json`. @returns the exit status: 130 when Ctrl-C stopped it between two steps */
async function follow<Truth>(run: MmR1Run<Truth>, out: string, heldOut: number | undefined): Promise<number> {
  await mkdir(out, { recursive: true });
  const interruption = new Interruption();
  try {
    const stages = stagesOf(run);
    const last = Math.max(0, ...stages.flatMap(({ steps }, i) => (steps > 0 ? [i] : [])));
    let before: Evaluation | undefined;
    for (const [i, { name, steps, reports }] of stages.entries()) {
      if (i === last) before = await run.evaluate(heldOut);
      if (steps === 0) continue;
      const bar = new StepBar(steps, name);
      for await (const { step, shown } of reports()) {
        bar.step(step, shown);
        if (interruption.isAsked) break;
      }
      await bar.end(!interruption.isAsked);
      if (interruption.isAsked) return 130;
    }
    const after = await run.evaluate(heldOut);
    const result = await run.result(before as Evaluation, after);
    const references = after.items.flatMap(({ reference }) => reference ?? []).slice(0, 24);
    await saveResult(out, result, { before: before as Evaluation, after }, references);
    console.log(JSON.stringify(result.metrics));
    if (stages[last].steps > 0) console.error(`the model: ${modelFolder(out)}`);
    return 0;
  } finally {
    interruption.release();
    await run.close();
  }
}

interface Stage {
  readonly name: string;
  readonly steps: number;
  /** What a progress bar shows, step by step. */
  readonly reports: () => AsyncGenerator<{ readonly step: number; readonly shown: Record<string, number> }, void>;
}

/** Cold start, control, reinforcement; those of no steps do nothing. What comes before the last one that does is `before`. */
function stagesOf<Truth>(run: MmR1Run<Truth>): Stage[] {
  const { coldStart, controlSteps, steps } = run.options;
  return [
    {
      name: 'cold start',
      steps: coldStart.steps,
      reports: async function* () {
        for await (const { step, loss } of run.coldStart()) yield { step, shown: { loss } };
      },
    },
    {
      name: 'control',
      steps: controlSteps,
      reports: async function* () {
        for await (const { step, loss } of run.control()) yield { step, shown: { loss } };
      },
    },
    {
      name: 'MM-R1',
      steps,
      reports: async function* () {
        for await (const { step, metrics } of run.steps()) {
          const { reward, kl, 'rewards/format/mean': format } = metrics;
          yield { step, shown: { reward, kl, format } };
        }
      },
    },
  ];
}
