/**
 * Runs of CoRL: unified reinforcement or further supervised steps, after a cold SFT that all runs have in common;
 * mini-geneval and mini-math.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Evaluation } from '../../src/data/task';
import { Rng, startEngine } from '../../src/engine';
import { resolveOptions } from '../../src/io/options';
import {
  loadThinking,
  miniCorlOptions,
  miniCorlRewards,
  miniCorlSetup,
  miniCorlTasks,
  thinkingBase,
} from '../../src/miniworld/corl';
import type { MiniCorlTask } from '../../src/miniworld/corl-task';
import {
  coldSft,
  coldSftMini,
  type ColdSftOptions,
  coldSftOptions,
  corl,
  type CorlOptions,
  corlVariants,
  modelFolder,
  runColdSft,
  runCorl,
} from '../../src/recipes';
import { controlSteps, evaluatedOnce, followed, heldOut, inFolder, inTurns, type MethodRuns, type Work } from './work';

/** Chosen on other seeds, see docs/results.md. */
const CHOSEN = {
  steps: 30,
  batchSize: 8,
  learningRate: 1e-4,
  scaleRewards: 'none',
  weights: { cycle: 2, lambda: 0.4 },
  segmentWeights: { understanding: 0.3, generation: 0.25 },
  image: { imageLogProbs: 'guided' },
} as const;

/** R_cycle's captions: after cold SFT a thought lists all that is seen, an answer does not. */
const CAPTIONS = { captions: 'thoughts' } as const;

/** Of the model that all runs start from; its seed is none of theirs. */
const COLD_SFT = { steps: 600, seed: 101 } as const;

/** Prompts of each of eight tags. */
const HELD_OUT = 96;

export const corlRuns: MethodRuns = {
  async perform(work) {
    await startEngine();
    const { variant, seed } = work.run;
    const options = optionsOf(work);
    const sft = resolveOptions(coldSftOptions, coldSftMini, COLD_SFT, smallSft(work));
    const setup = miniCorlSetup(work.folder, true, CAPTIONS);
    const task = (await miniCorlTasks()).unified;
    const from = await coldStarted(work, task, sft);
    const before = await beforeOf(from, task, options, work);
    const told: Record<string, unknown> = { ...options, coldSft: sft };
    if (variant === 'control') {
      const steps = await controlSteps(options.steps, work, from);
      const more: ColdSftOptions = { ...sft, steps, seed: seed + 1e6 };
      await followed(runColdSft(setup, { name: variant, from, task, options: more }), 'control', steps, work);
      told.controlSteps = steps;
    } else await followed(runCorl(setup, { name: variant, from, task, options }), 'reinforcement', options.steps, work);
    const after = await evaluated('after', modelFolder(work.folder, variant), task, options, work);
    return { options: told, before, after, log: path.join(inFolder(work, variant), 'metrics.jsonl') };
  },

  async stepTimes(model, pairs) {
    await startEngine();
    const steps = pairs + 3;
    const [learner, control] = [await loadThinking(model), await loadThinking(model)];
    const rewards = await miniCorlRewards(learner, CAPTIONS);
    try {
      const task = (await miniCorlTasks()).unified;
      const options = miniCorlOptions('unified', CHOSEN, { steps });
      const sft = resolveOptions(coldSftOptions, coldSftMini, { steps });
      return await inTurns(
        corl({ model: learner, task, rewards }, options),
        coldSft({ model: control, task }, sft),
        pairs,
      );
    } finally {
      rewards.dispose();
      learner.dispose();
      control.dispose();
    }
  },
};

function optionsOf(work: Work): CorlOptions {
  const { variant, seed } = work.run;
  if (!Object.hasOwn(corlVariants, variant)) throw new RangeError(`CoRL has no variant '${variant}'`);
  const { limit } = work;
  const small = limit === undefined ? {} : { steps: limit, groupSize: 2, batchSize: 1 };
  return miniCorlOptions(
    'unified',
    CHOSEN,
    corlVariants[variant as keyof typeof corlVariants],
    { seed, ...small },
    work.set ?? [],
  );
}

const smallSft = (work: Work) => (work.limit === undefined ? {} : { steps: work.limit, batchSize: 2 });

/** Beside the runs' folders: what they have in common, made by the first of them. */
const commonFolder = ({ folder, run }: Work) => path.join(path.dirname(folder), `corl-cold-sft-${run.backbone}`);

/** The folder of the model that runs start from. */
async function coldStarted(work: Work, task: MiniCorlTask, options: ColdSftOptions): Promise<string> {
  const out = commonFolder(work);
  const base = await thinkingBase(work.model, out);
  const run = { name: 'cold-sft', from: base, task, options };
  await followed(runColdSft(miniCorlSetup(out, true), run), 'cold SFT', options.steps, work);
  return modelFolder(out, 'cold-sft');
}

/** Evaluated once for all variants of a seed; its sheet lies in the run's folder, too. */
async function beforeOf(from: string, task: MiniCorlTask, options: CorlOptions, work: Work): Promise<Evaluation> {
  const common = path.join(commonFolder(work), `seed-${options.seed}`);
  await mkdir(common, { recursive: true });
  const before = await evaluated('before', from, task, options, { ...work, folder: common });
  for (const name of ['before.png', 'before-prompts.json'])
    if (existsSync(path.join(common, name))) await copyFile(path.join(common, name), inFolder(work, name));
  return before;
}

/** Mini-geneval and mini-math with the model of a folder. */
function evaluated(name: string, from: string, task: MiniCorlTask, options: CorlOptions, work: Work) {
  return evaluatedOnce(inFolder(work, `${name}.json`), async () => {
    const model = await loadThinking(from);
    try {
      const { text, image, seed } = options;
      const count = heldOut(HELD_OUT, work);
      return await task.evaluate(model, new Rng(seed).split('evaluation'), { count, text, image });
    } finally {
      model.dispose();
    }
  });
}
