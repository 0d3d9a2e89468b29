/** Runs of Sync-GRPO: one concept a seed; the control goes on with the supervised stages instead. */
import path from 'node:path';
import { resolveOptions } from '../../src/io/options';
import { openSyncGrpo } from '../../src/miniworld/sync-grpo';
import { syncGrpoMini, syncGrpoOptions, syncGrpoVariants } from '../../src/recipes';
import { BASELINE_VARIANTS, performBaseline } from './baselines';
import { VALIDATION_SEED } from './runs';
import { controlSteps, evaluatedOnce, followed, heldOut, inFolder, inTurns, type MethodRuns } from './work';

/** Of seed 1, 2, ..; none of them was looked at when options were chosen (docs/results.md). */
export const CONCEPTS = ['pixel', 'yuki', 'trek', 'lena', 'hoot'] as const;

/** Of seeds from 101, on which options are chosen. */
const VALIDATION_CONCEPTS = ['luna', 'strum', 'nora'] as const;

const conceptOf = (seed: number): string =>
  seed >= VALIDATION_SEED
    ? VALIDATION_CONCEPTS[(seed - VALIDATION_SEED) % VALIDATION_CONCEPTS.length]
    : CONCEPTS[(seed - 1) % CONCEPTS.length];

/** Half of them leave open what is beside the subject. */
const HELD_OUT = 192;

export const syncGrpoRuns: MethodRuns = {
  async perform(work) {
    const { model, run: listed } = work;
    const { variant, seed } = listed;
    const concept = conceptOf(seed);
    if ((BASELINE_VARIANTS as readonly string[]).includes(variant)) return performBaseline(work, concept, HELD_OUT);
    const small = work.limit === undefined ? {} : smallSettings(work.limit);
    const options = resolveOptions(syncGrpoOptions, syncGrpoMini, changesOf(variant), { seed }, small, work.set ?? []);
    const run = await openSyncGrpo(concept, { model, options, out: inFolder(work, 'run'), resume: true });
    try {
      const count = heldOut(HELD_OUT, work);
      await followed(run.learnSubject(), 'subject', run.subjectSteps, work);
      const before = await evaluatedOnce(inFolder(work, 'before.json'), () => run.evaluate(count));
      const { steps } = run.options;
      const isControl = variant === 'control';
      const supervised = isControl ? await controlSteps(steps, work) : 0;
      if (isControl) await followed(run.control(supervised), 'control', supervised, work);
      else await followed(run.steps(), 'reinforcement', steps, work);
      const after = await evaluatedOnce(inFolder(work, 'after.json'), () => run.evaluate(count));
      const told = isControl ? { concept, controlSteps: supervised } : { concept };
      const log = isControl ? undefined : path.join(inFolder(work, 'run'), 'metrics.jsonl');
      return { options: { ...told, ...run.options }, before, after, scope: `${concept}: `, log };
    } finally {
      await run.close();
    }
  },

  async stepTimes(model, pairs) {
    const run = await openSyncGrpo('luna', { model, set: ['subject.steps=1', `steps=${pairs + 3}`] });
    try {
      for await (const _ of run.learnSubject()); // the tokens exist then
      return await inTurns(run.steps(), run.control(pairs + 3), pairs);
    } finally {
      await run.close();
    }
  },
};

function changesOf(variant: string): object {
  if (!Object.hasOwn(syncGrpoVariants, variant)) throw new RangeError(`Sync-GRPO has no variant '${variant}'`);
  return syncGrpoVariants[variant as keyof typeof syncGrpoVariants];
}

const smallSettings = (limit: number) => ({
  steps: limit,
  groupSize: 3,
  dsog: { batch: 4 },
  subject: { steps: limit },
});
