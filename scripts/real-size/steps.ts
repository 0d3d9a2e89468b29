/** One step of each recipe on a checkpoint's folder, opened as users open it: LoRA, and blocks computed again. */
import path from 'node:path';
import { ConceptFolderTask } from '../../src/data/concept-folder';
import type { CorlExample, CorlTask } from '../../src/data/corl-task';
import type { XcotExample, XcotRecord, XcotTask } from '../../src/data/xcot';
import { type Image, resizeImage } from '../../src/io';
import { resolveOptions } from '../../src/io/options';
import { findConcept } from '../../src/miniworld/concepts';
import { MiniCorlTask } from '../../src/miniworld/corl-task';
import { miniCorlSetup } from '../../src/miniworld/corl';
import { miniRewards, miniXcotRewards } from '../../src/miniworld/rewards';
import { loadSprites } from '../../src/miniworld/sprites';
import { writeConcepts } from '../../src/miniworld/write-concepts';
import { MiniXcotTask, type XcotTruth } from '../../src/miniworld/xcot-task';
import type { UnifiedModel } from '../../src/models/unified';
import { corlMini, corlOptions, runCorl } from '../../src/recipes';
import { mmR1Mini, mmR1Options } from '../../src/recipes/mm-r1';
import { MmR1Run } from '../../src/recipes/mm-r1-run';
import { syncGrpoMini, syncGrpoOptions } from '../../src/recipes/sync-grpo';
import { SyncGrpoRun } from '../../src/recipes/sync-grpo-run';

export interface StepPlace {
  /** The checkpoint. */
  readonly model: string;
  /** A folder for everything else. */
  readonly scratch: string;
  /** Side of the images that the model sees, pixels. */
  readonly side: number;
  /** Told when a part is done. */
  readonly done: (part: string) => void;
}

export interface StepReport {
  /** What differs from the recipe's mini preset. */
  readonly options: object;
  /** Scalars that learn. */
  readonly learned: number;
  readonly metrics: Readonly<Record<string, number>>;
}

export type StepTaker = (place: StepPlace) => Promise<StepReport>;

/** What every recipe is told: one step of a group of two, rows one by one. */
const COMMON = {
  steps: 1,
  groupSize: 2,
  chunk: 1,
  adapters: { enabled: true, rank: 8 },
  gradientCheckpointing: true,
} as const;

const sizeOf = (model: UnifiedModel) =>
  Object.values(model.variables()).reduce((sum, variable) => sum + variable.size, 0);

/** Sync-GRPO: a step of either supervised stage, then of reinforcement: an answer and two steps of MaskGIT a member. */
export const stepOfSyncGrpo: StepTaker = async ({ model, scratch, side, done }) => {
  const options = {
    ...COMMON,
    dsog: { enabled: false },
    text: { maxNewTokens: 4 },
    image: { ...syncGrpoMini.image, steps: 2 },
    subject: { ...syncGrpoMini.subject, steps: 1, understandingBatch: 1, generationBatch: 1 },
  };
  const data = path.join(scratch, 'concepts');
  await writeConcepts(data, await loadSprites(), ['mira', 'otto'].map(findConcept));
  const task = await ConceptFolderTask.open(data, 'mira', { style: 'spaced', size: [side, side] });
  const run = await SyncGrpoRun.open({
    model,
    task,
    rewards: await miniRewards(task.subject.kind),
    options: resolveOptions(syncGrpoOptions, syncGrpoMini, options),
    out: path.join(scratch, 'run'),
  });
  try {
    done('load');
    for await (const _ of run.learnSubject());
    done('subject');
    const metrics = await only(run.steps(), done);
    return { options, learned: sizeOf(run.model), metrics };
  } finally {
    await run.close();
  }
};

/** CoRL, unified: an image of as many steps as it has codes and a thought answer a member. */
export const stepOfCorl: StepTaker = async ({ model, scratch, side, done }) => {
  const options = { ...COMMON, batchSize: 1, text: { maxNewTokens: 8 } };
  const setup = miniCorlSetup(scratch);
  let learned = 0;
  const load = async (folder: string, loading: Parameters<typeof setup.load>[1]) => setup.load(folder, loading);
  const rewards = async (loaded: UnifiedModel) => {
    done('load');
    learned = sizeOf(loaded);
    return setup.rewards(loaded);
  };
  const run = {
    name: 'unified',
    from: model,
    task: resizedCorl(await MiniCorlTask.open('both'), side),
    options: resolveOptions(corlOptions, corlMini, options),
  };
  const metrics = await only(runCorl({ ...setup, load, rewards }, run), done);
  return { options, learned, metrics };
};

/** MM-R1: a supervised step on one X-CoT, then text, image, text, image by turns, a code a step. */
export const stepOfMmR1: StepTaker = async ({ model, scratch, side, done }) => {
  const options = {
    ...COMMON,
    prompts: 1,
    structure: 'guided',
    text: { maxNewTokens: 4 },
    coldStart: { steps: 1, batch: 1 },
  };
  const run = await MmR1Run.open<XcotTruth>({
    model,
    task: resizedXcot(await MiniXcotTask.open(), side),
    rewards: await miniXcotRewards(),
    options: resolveOptions(mmR1Options, mmR1Mini, options),
    out: path.join(scratch, 'run'),
  });
  try {
    done('load');
    for await (const _ of run.coldStart());
    done('cold start');
    const metrics = await only(run.steps(), done);
    return { options, learned: sizeOf(run.model), metrics };
  } finally {
    await run.close();
  }
};

interface RecipeStep {
  readonly metrics: Readonly<Record<string, number>>;
  readonly timings: Readonly<Record<string, number>>;
}

/** The one step, told in its parts, and what the run leaves behind it. */
async function only(steps: AsyncIterable<RecipeStep>, done: StepPlace['done']): Promise<RecipeStep['metrics']> {
  let metrics: RecipeStep['metrics'] = {};
  for await (const step of steps) {
    ({ metrics } = step);
    done(
      `step (${Object.entries(step.timings)
        .map(([part, seconds]) => `${part} ${seconds.toFixed(1)} s`)
        .join(', ')})`,
    );
  }
  done('end');
  return metrics;
}

/** The mini world's images are 64 x 64. */
function resizedCorl(task: MiniCorlTask, side: number): CorlTask {
  return {
    name: task.name,
    evaluate: (model, rng, options) => task.evaluate(model, rng, options),
    sample: async (rng): Promise<CorlExample> => {
      const example = task.sample(rng);
      const [image] = await Promise.all(example.references.map((one) => resizeImage(one, side, side)));
      const question = example.question.map((part) => (typeof part === 'string' ? part : image));
      return { ...example, references: [image], question };
    },
  };
}

function resizedXcot(task: MiniXcotTask, side: number): XcotTask<XcotTruth> {
  const resized = (image: Image) => resizeImage(image, side, side);
  return {
    name: task.name,
    evaluate: (model, rng, options) => task.evaluate(model, rng, options),
    sample: async (rng): Promise<XcotExample<XcotTruth>> => {
      const example = task.sample(rng);
      return { ...example, references: [await resized(example.references[0])] };
    },
    record: async (rng, of): Promise<XcotRecord> => {
      const record = task.record(rng, of);
      const [reference, focus, target] = await Promise.all(
        [record.reference, record.focus, record.target].map(resized),
      );
      return { ...record, reference, focus, target };
    },
  };
}
