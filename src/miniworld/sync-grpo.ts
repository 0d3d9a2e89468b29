/** Sync-GRPO on a concept of the mini world, with scorers that two CPU cores can run: one call for notebooks and scripts. */
import { startEngine } from '../engine';
import { resolveOptions } from '../io/options';
import { dataFolder } from '../io/package-root';
import { syncGrpoMini, syncGrpoOptions } from '../recipes/sync-grpo';
import { SyncGrpoRun } from '../recipes/sync-grpo-run';
import { ConceptTask } from './concept-task';
import { miniRewards } from './rewards';

export interface OpenSyncGrpoOptions {
  /** Options beside the mini preset's. */
  readonly options?: object;
  /** `key=value`, over `options`. */
  readonly set?: readonly string[];
  /** A checkpoint's folder. Default: Show-o mini. */
  readonly model?: string;
  /** `mobilenet` is an ablation. */
  readonly der?: 'mini_figure' | 'mobilenet';
  /** The run's folder. Default: nothing is kept. */
  readonly out?: string;
  readonly resume?: boolean;
}

/**
 * @param concept its name, e.g. `mira`
 * @throws Error naming the known concepts for an unknown one; OptionsError naming every option at fault
 * @example
 * const run = await openSyncGrpo('mira', { set: ['steps=30'] });
 * for await (const report of run.learnSubject()) console.log(report.stage, report.loss);
 * for await (const step of run.steps()) console.log(step.step, step.metrics.reward);
 */
export async function openSyncGrpo(concept: string, given: OpenSyncGrpoOptions = {}): Promise<SyncGrpoRun> {
  const { options = {}, set = [], der, model = dataFolder('checkpoints', 'showo-mini'), out, resume } = given;
  const resolved = resolveOptions(syncGrpoOptions, syncGrpoMini, options, set);
  await startEngine();
  const task = await ConceptTask.open(concept);
  const rewards = await miniRewards(task.subject.kind, der);
  return SyncGrpoRun.open({ model, task, rewards, options: resolved, out, resume });
}
