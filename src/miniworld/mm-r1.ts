/** MM-R1 on the mini world's subjects, with scorers that two CPU cores can run: one call for notebooks and scripts. */
import { startEngine } from '../engine';
import { resolveOptions } from '../io/options';
import { dataFolder } from '../io/package-root';
import { mmR1Mini, type MmR1Options, mmR1Options, mmR1Variants } from '../recipes/mm-r1';
import { MmR1Run } from '../recipes/mm-r1-run';
import { miniXcotRewards } from './rewards';
import { MiniXcotTask, type XcotTruth } from './xcot-task';

export interface OpenMmR1Options {
  /** A row of the paper's tables, or the control. Default `full`. */
  readonly variant?: keyof typeof mmR1Variants;
  /** Options beside the mini preset's and the variant's. */
  readonly options?: object;
  /** `key=value`, over `options`. */
  readonly set?: readonly string[];
  /** A checkpoint's folder. Default: {@link mmR1Start}. */
  readonly model?: string;
  /** The run's folder. Default: nothing is kept. */
  readonly out?: string;
  readonly resume?: boolean;
}

/**
 * The checkpoint's folder that a run starts from: the Chameleon mini that has had its cold start, where sequences are the
 * model's own and the run brings no cold start; otherwise Chameleon mini.
 */
export function mmR1Start({ structure, coldStart }: Pick<MmR1Options, 'structure' | 'coldStart'>): string {
  const isWarm = structure === 'free' && coldStart.steps === 0;
  return dataFolder('checkpoints', isWarm ? 'chameleon-mini-xcot' : 'chameleon-mini');
}

/**
 * @throws OptionsError naming every option at fault
 * @example
 * const run = await openMmR1({ set: ['steps=30'] });
 * for await (const report of run.coldStart()) console.log(report.step, report.loss);
 * const before = await run.evaluate();
 * for await (const step of run.steps()) console.log(step.step, step.metrics.reward);
 */
export async function openMmR1(given: OpenMmR1Options = {}): Promise<MmR1Run<XcotTruth>> {
  const { variant = 'full', options = {}, set = [], out, resume } = given;
  const resolved = resolveOptions(mmR1Options, mmR1Mini, mmR1Variants[variant], options, set);
  const { model = mmR1Start(resolved) } = given;
  await startEngine();
  const task = await MiniXcotTask.open();
  return MmR1Run.open({ model, task, rewards: await miniXcotRewards(), options: resolved, out, resume });
}
