/** Runs a stage of a curriculum: checkpoints, Ctrl-C, and the finished weights. */
import path from 'node:path';
import { startEngine } from '../../engine';
import { dataFolder } from '../../io/package-root';
import { type StepReport, trainSupervised } from '../../sft/loop';
import { STAGES } from './stages';

export interface TrainOptions {
  readonly steps?: number;
  readonly seed?: number;
  readonly out?: string;
  readonly checkpoints?: string;
  /** Steps between checkpoints. Default: the loop's. */
  readonly checkpointEvery?: number;
  readonly fallback: boolean;
}

/** Runs a stage to its end, or until Ctrl-C. @returns exit status: 0 done, 130 stopped by Ctrl-C with the state saved */
export async function runTraining(name: string, options: TrainOptions): Promise<number> {
  const stage = STAGES[name];
  const report = await startEngine();
  console.error(`unilab train ${name}: ${report.engine} engine (${report.library}), ${report.precision}`);
  const seed = options.seed ?? stage.settings.seed;
  const { task, save } = await stage.prepare(seed);
  const folder = options.checkpoints ?? path.join('out', 'train', name);
  let stop = false;
  const onInterrupt = () => {
    if (stop) process.exit(130);
    stop = true;
    console.error('\nstopping after this step; the state will be saved (Ctrl-C again to stop at once)');
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  const started = performance.now();
  let first = -1;
  try {
    for await (const step of trainSupervised(task, {
      ...stage.settings,
      steps: options.steps ?? stage.settings.steps,
      seed,
      folder,
      checkpointEvery: options.checkpointEvery,
      fallback: options.fallback,
    })) {
      if (first < 0) first = step.step - 1;
      printProgress(step, (performance.now() - started) / 1000 / (step.step - first));
      if (stop) break;
    }
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
  if (stop) {
    console.error(`stopped; the same command goes on from ${folder}`);
    return 130;
  }
  const out = options.out ?? dataFolder('checkpoints', stage.folder);
  await save(out);
  console.log(`trained ${name}: ${out}`);
  return 0;
}

function printProgress(step: StepReport, secondsEach: number): void {
  if (step.step % 10 && step.step !== step.steps) return;
  const left = Math.round((step.steps - step.step) * secondsEach);
  const parts = Object.entries(step.metrics).map(([key, value]) => `${key} ${value.toFixed(4)}`);
  console.error(
    `${String(step.step).padStart(5)}/${step.steps}  loss ${step.loss.toFixed(4)}  ${parts.join('  ')}  norm ${step.gradNorm.toFixed(2)}  ` +
      `${secondsEach.toFixed(2)} s/step  ${Math.floor(left / 60)}m${String(left % 60).padStart(2, '0')}s left`,
  );
}
