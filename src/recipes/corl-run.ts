/**
 * Runs of CoRL from checkpoint to checkpoint, and the whole method: unified reinforcement, three runs that refine what
 * it gave, and the merge of the two that answer (Sec. 3.3 and 4.2). Each leaves `NAME/` with the run and `NAME/model/`.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { CorlTask } from '../data/corl-task';
import { mergeFolders, type MergeReport } from '../eval';
import { Rng } from '../engine';
import { RunFolder } from '../io';
import { adapt, keepModel, modelFolder as modelOf, storageOf } from '../models/adaptation';
import type { LoadOptions } from '../models/load';
import type { UnifiedModel } from '../models/unified';
import { corl, type CorlOptions, type CorlRewards, type CorlStage, type CorlStep } from './corl';
import { coldSft, type ColdSftOptions } from './corl-sft';
import type { StepReport } from '../sft';

/** Rewards that hold frozen models of their own. */
export type HeldRewards = CorlRewards & { dispose(): void };

/** What every run is made of. */
export interface CorlRunSetup {
  /** Loads a checkpoint's folder; the model belongs to the run. @param options `BF16` for what adapters go around */
  readonly load: (folder: string, options: LoadOptions) => Promise<UnifiedModel>;
  /** Made of a run's model before it learns: R_TIM and captions are a frozen copy's. */
  readonly rewards: (model: UnifiedModel) => Promise<HeldRewards>;
  /** Holds the runs. */
  readonly out: string;
  /** Goes on with runs that are there; a run that is done is not done again. */
  readonly resume?: boolean;
}

export interface CorlRun {
  readonly name: string;
  /** The checkpoint's folder that it starts from. */
  readonly from: string;
  readonly task: CorlTask;
  readonly options: CorlOptions;
}

/** The folder that a run leaves its model in. */
export const modelFolder = (out: string, name: string) => modelOf(path.join(out, name));

const isDone = ({ out, resume }: Pick<CorlRunSetup, 'out' | 'resume'>, name: string) =>
  resume === true && existsSync(path.join(modelFolder(out, name), 'config.json'));

/** One run; leave the `for await` between steps at any time, and with `resume` the same call goes on, bit for bit. */
export async function* runCorl(
  setup: CorlRunSetup,
  { name, from, task, options }: CorlRun,
): AsyncGenerator<CorlStep, void, undefined> {
  if (isDone(setup, name)) return;
  const { load, rewards: rewardsOf, out, resume } = setup;
  const identity = {
    recipe: 'corl',
    from: path.resolve(from).split(path.sep).slice(-3).join('/'),
    task: task.name,
    ...options,
  };
  const run = await RunFolder.open(path.join(out, name), identity, { resume });
  let model: UnifiedModel | undefined;
  let rewards: HeldRewards | undefined;
  try {
    model = await load(from, { dtype: storageOf(options) });
    adapt(model, options, new Rng(options.seed).split('adapters'));
    rewards = await rewardsOf(model);
    yield* corl({ model, task, rewards, run }, options);
    await keepModel(model, path.join(out, name));
  } finally {
    await run.close();
    rewards?.dispose();
    model?.dispose();
  }
}

/** The supervised stage in the same way: Cold-SFT, or the control of equal time. */
export async function* runColdSft(
  setup: Omit<CorlRunSetup, 'rewards'>,
  { name, from, task, options }: Omit<CorlRun, 'options'> & { readonly options: ColdSftOptions },
): AsyncGenerator<StepReport, void, undefined> {
  if (isDone(setup, name)) return;
  const { load, out } = setup;
  const model = await load(from, {});
  try {
    yield* coldSft({ model, task }, options, path.join(out, name));
    await keepModel(model, path.join(out, name));
  } finally {
    model.dispose();
  }
}

export interface CorlMethod {
  /** The checkpoint's folder that everything starts from. */
  readonly base: string;
  readonly tasks: Readonly<Record<CorlStage, CorlTask>>;
  readonly options: Readonly<Record<CorlStage, CorlOptions>>;
  /** Given, supervised steps go first; in the place of unified reinforcement they are a row of Table 3. */
  readonly coldSft?: ColdSftOptions;
}

export type CorlMethodStep =
  | { readonly stage: CorlStage; readonly step: CorlStep; readonly of: number }
  | { readonly stage: 'cold-sft'; readonly report: StepReport }
  | { readonly stage: 'understanding'; readonly merged: MergeReport };

/**
 * The whole method. What it leaves: `unified/model`, `t2i/model` (draws), `mcq/model`, `open/model`, and `understanding/`
 * (answers both kinds: the last two merged onto `unified/model`).
 */
export async function* corlMethod(
  setup: CorlRunSetup,
  { base, tasks, options, coldSft: supervised }: CorlMethod,
): AsyncGenerator<CorlMethodStep, void, undefined> {
  const { out } = setup;
  let from = base;
  if (supervised) {
    const run = { name: 'cold-sft', from, task: tasks.unified, options: supervised };
    for await (const report of runColdSft(setup, run)) yield { stage: 'cold-sft', report };
    from = modelFolder(out, 'cold-sft');
  }
  for (const stage of ['unified', 't2i', 'mcq', 'open'] as const) {
    const run = { name: stage, from, task: tasks[stage], options: options[stage] };
    for await (const step of runCorl(setup, run)) yield { stage, step, of: options[stage].steps };
    if (stage === 'unified') from = modelFolder(out, stage);
  }
  const tuned = [modelFolder(out, 'mcq'), modelFolder(out, 'open')];
  yield { stage: 'understanding', merged: await mergeFolders(from, tuned, path.join(out, 'understanding')) };
}
