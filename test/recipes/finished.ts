/** Sync-GRPO on a tiny model, run to its end. */
import { syncGrpo, type SyncGrpoOptions, type SyncGrpoSetup, type SyncGrpoStep } from '../../src/recipes/sync-grpo';
import { snapshot } from '../models/showo/tiny-showo';
import { backbones, brightness, tinyRewards, tinyTask } from './tiny-task';

export async function setupOf(
  backbone: keyof typeof backbones = 'showo',
  more: Partial<SyncGrpoSetup> = {},
): Promise<SyncGrpoSetup> {
  const model = await backbones[backbone]();
  return { model, task: tinyTask(backbone), rewards: tinyRewards, judge: brightness, ...more };
}

export interface Finished {
  readonly steps: readonly SyncGrpoStep[];
  readonly weights: Readonly<Record<string, Float32Array>>;
}

/** Runs to the end, or until so many steps are done; the model is gone then. */
export async function finished(setup: SyncGrpoSetup, options: SyncGrpoOptions, until = Infinity): Promise<Finished> {
  const steps: SyncGrpoStep[] = [];
  try {
    for await (const step of syncGrpo(setup, options)) {
      steps.push(step);
      if (steps.length === until) break;
    }
    return { steps, weights: snapshot(setup.model.variables()) };
  } finally {
    setup.model.dispose();
  }
}
