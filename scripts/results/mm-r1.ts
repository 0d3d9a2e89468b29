/** Runs of MM-R1: cold start, then reinforcement or further supervised steps; evaluated on subjects never trained. */
import path from 'node:path';
import { resolveOptions } from '../../src/io/options';
import { dataFolder } from '../../src/io/package-root';
import { mmR1Start, openMmR1 } from '../../src/miniworld/mm-r1';
import { mmR1Mini, type MmR1Options, mmR1Options, mmR1Variants } from '../../src/recipes';
import { BACKBONES } from './runs';
import { controlSteps, evaluatedOnce, followed, heldOut, inFolder, inTurns, type MethodRuns, type Work } from './work';

/** Chosen on other seeds, see docs/results.md. */
const CHOSEN = { steps: 60, prompts: 8, learningRate: 5e-5, beta: 0 } as const;

/** Four for each of 32 subjects. */
const HELD_OUT = 128;

type Variant = keyof typeof mmR1Variants;

export const mmR1Runs: MethodRuns = {
  async perform(work) {
    const { model, run: listed } = work;
    const { variant, seed } = listed;
    if (!Object.hasOwn(mmR1Variants, variant)) throw new RangeError(`MM-R1 has no variant '${variant}'`);
    const set = [`seed=${seed}`, ...(await countsOf(work))];
    const own = resolveOptions(mmR1Options, mmR1Mini, CHOSEN, mmR1Variants[variant as Variant], set, work.set ?? []);
    const run = await openMmR1({ model: startOf(model, own), options: own, out: inFolder(work, 'run'), resume: true });
    try {
      const evaluated = (name: string) =>
        evaluatedOnce(inFolder(work, `${name}.json`), () => run.evaluate(heldOut(HELD_OUT, work)));
      const { options } = run;
      const learnsAfter = options.steps > 0 || options.controlSteps > 0;
      // Without either, what the cold start makes of the model is looked at.
      let before = learnsAfter ? undefined : await evaluated('before');
      await followed(run.coldStart(), 'cold start', options.coldStart.steps, work);
      before ??= await evaluated('before');
      await followed(run.control(), 'control', options.controlSteps, work);
      if (options.steps > 0) await followed(run.steps(), 'reinforcement', options.steps, work);
      const log = options.steps > 0 ? path.join(inFolder(work, 'run'), 'metrics.jsonl') : undefined;
      return { options: { ...options }, before, after: await evaluated('after'), log };
    } finally {
      await run.close();
    }
  },

  async stepTimes(model, pairs) {
    const set = [`steps=${pairs + 3}`, `controlSteps=${pairs + 3}`];
    const own = resolveOptions(mmR1Options, mmR1Mini, CHOSEN, set);
    const run = await openMmR1({ model: startOf(model, own), options: own });
    try {
      return await inTurns(run.steps(), run.control(), pairs);
    } finally {
      await run.close();
    }
  },
};

/** The listed backbone, cold-started where the run is not; a checkpoint of somebody's own as it is. */
const startOf = (model: string, options: MmR1Options): string =>
  model === dataFolder('checkpoints', BACKBONES['mm-r1']) ? mmR1Start(options) : model;

/** Steps as the variant, the control's ratio and the limit want them. */
async function countsOf(work: Work): Promise<string[]> {
  const { variant } = work.run;
  const full: MmR1Options = resolveOptions(mmR1Options, mmR1Mini, CHOSEN);
  const own: MmR1Options = resolveOptions(mmR1Options, mmR1Mini, CHOSEN, mmR1Variants[variant as Variant]);
  const control = variant.startsWith('control') ? [`controlSteps=${await controlSteps(full.steps, work)}`] : [];
  if (work.limit === undefined) return control;
  const { limit } = work;
  const small = [`steps=${Math.min(limit, own.steps)}`, `coldStart.steps=${Math.min(limit, own.coldStart.steps)}`];
  return [...small, ...control, 'groupSize=2', 'coldStart.batch=2'];
}
