/** Runs of CoRL: cold SFT, then unified reinforcement or further supervised steps; mini-geneval and mini-math. */
import path from 'node:path';
import { Rng } from '../../src/engine';
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
const CHOSEN = {} as const;

/** Prompts of each of eight tags. */
const HELD_OUT = 96;

export const corlRuns: MethodRuns = {
  async perform(work) {
    const { variant, seed } = work.run;
    const options = optionsOf(work);
    const sft = resolveOptions(coldSftOptions, coldSftMini, { seed, ...smallSft(work) });
    const setup = miniCorlSetup(work.folder, true);
    const task = (await miniCorlTasks()).unified;
    const base = await thinkingBase(work.model, work.folder);
    await followed(
      runColdSft(setup, { name: 'cold-sft', from: base, task, options: sft }),
      'cold SFT',
      sft.steps,
      work,
    );
    const from = modelFolder(work.folder, 'cold-sft');
    const before = await evaluated('before', from, task, options, work);
    const told: Record<string, unknown> = { ...options, coldSft: sft };
    if (variant === 'control') {
      const steps = await controlSteps(options.steps, work);
      const more: ColdSftOptions = { ...sft, steps, seed: seed + 1e6 };
      await followed(runColdSft(setup, { name: variant, from, task, options: more }), 'control', steps, work);
      told.controlSteps = steps;
    } else await followed(runCorl(setup, { name: variant, from, task, options }), 'reinforcement', options.steps, work);
    const after = await evaluated('after', modelFolder(work.folder, variant), task, options, work);
    return { options: told, before, after, log: path.join(inFolder(work, variant), 'metrics.jsonl') };
  },

  async stepTimes(model, pairs) {
    const steps = pairs + 3;
    const [learner, control] = [await loadThinking(model), await loadThinking(model)];
    const rewards = await miniCorlRewards(learner);
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
