/** UniLab's half of the benchmark, in a process of its own: a precision is chosen before the engine's library loads. */
import { type Precision, profileKernels, runTraced, startEngine, Rng, tf } from '../src/engine';
import type { ShowoModel } from '../src/models/showo/model';
import type { ImageTransition } from '../src/models/showo/policy';
import { ShowoImageSampler } from '../src/models/showo/sampler';
import { type StepReport, trainSupervised } from '../src/sft/loop';
import { showoInputs, showoTask } from '../src/miniworld/curricula/showo-task';
import {
  BENCH_SIZES,
  BENCH_TRAINING,
  type BenchInputs,
  type BenchSizes,
  pieceOf,
  readInputs,
  writeInputs,
} from './inputs';
import { GrpoBench } from './grpo';
import { type Answer, serveLines } from './line-worker';

/** Learning rate of the timed training steps. */
export const BENCH_LEARNING_RATE = 1e-3;

/** Serves `prepare`, `load`, the works by name, `check` and `profile` until stdin ends. */
export async function serveBench(precision: Precision): Promise<void> {
  const report = await startEngine({ precision, quiet: true });
  let works: Record<string, () => Promise<number>> = {};
  let grpo: GrpoBench | undefined;
  await serveLines(async (command): Promise<Answer> => {
    const task = String(command.do);
    if (task === 'prepare') {
      const sizes = { ...BENCH_SIZES, ...(command.sizes as Partial<BenchSizes>) };
      await writeInputs(String(command.folder), sizes);
      return { sizes };
    }
    if (task === 'load') {
      const { model, inputs, grpo: setup } = await readInputs(String(command.folder));
      const bench = (grpo = await GrpoBench.load(setup));
      works = { ...worksOf(model, inputs), grpo: () => bench.step() };
      return { ...report, parameters: model.store.count() };
    }
    if (task === 'profile') {
      const work = works[String(command.work)];
      if (!work) throw new Error(`there is no work '${String(command.work)}'`);
      const { elapsed, kernels } = await profileKernels(work);
      return { elapsed, kernels };
    }
    if (task === 'check') {
      if (!grpo) throw new Error('nothing is loaded');
      return { ...(await grpo.check()) };
    }
    if (!(task in works))
      throw new Error(`there is no work '${task}' (loaded: ${Object.keys(works).join(', ') || 'nothing'})`);
    const cpu = process.cpuUsage();
    const start = performance.now();
    const value = await works[task]();
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    return { seconds, cpuSeconds: (user + system) / 1e6, value };
  });
}

/** Training, rollout and replay; each does it once and gives back the number that PyTorch must agree with. */
function worksOf(model: ShowoModel, inputs: BenchInputs): Record<string, () => Promise<number>> {
  const steps = trainingSteps(model, inputs);
  const pieces = inputs.pieces.map((piece) => pieceOf(piece, inputs.sizes.guidanceScale));
  let rollouts = 0;
  return {
    train: async () => {
      const { value } = await steps.next();
      if (!value) throw new Error('the training loop ended');
      return value.loss;
    },
    rollout: async () => rollout(model, inputs, rollouts++),
    replay: async () => replay(model, pieces),
  };
}

/** The loop that trains the shipped checkpoint, on one batch again and again: making batches is not what is compared. */
function trainingSteps(model: ShowoModel, { batch }: BenchInputs): AsyncGenerator<StepReport, void> {
  const never = () => {
    throw new Error('the batch is given');
  };
  const task = showoTask(
    model,
    { image: never, text: never },
    { ...BENCH_SIZES, size: 0, weights: BENCH_TRAINING.weights },
  );
  return trainSupervised(
    { ...task, batch: () => showoInputs(model.config, batch) },
    {
      steps: 1e6,
      warmupSteps: 0,
      learningRate: BENCH_LEARNING_RATE,
      weightDecay: BENCH_TRAINING.weightDecay,
      beta2: BENCH_TRAINING.beta2,
      seed: 1,
    },
  );
}

/** Guided images from all-masked to done. @returns mean log p of the drawn codes */
function rollout(model: ShowoModel, { captions, sizes }: BenchInputs, seed: number): number {
  const requests = captions.map((condition, i) => ({ condition, draws: new Rng(seed).split(i) }));
  const { steps, guidanceScale } = sizes;
  const batch = ShowoImageSampler.start(model.network, requests, { steps, guidanceScale });
  batch.finish();
  const all = batch.transitions.flat().flatMap((transition) => Array.from(transition.logProbs));
  return all.reduce((a, b) => a + b, 0) / all.length;
}

/** Log-probs of the recorded transitions with the gradient of their mean. @returns that mean */
function replay(model: ShowoModel, pieces: readonly ImageTransition[]): number {
  const { value, grads } = runTraced(model, 'replay with gradient', () =>
    tf.variableGrads(() => tf.mean<tf.Scalar>(model.replay(pieces)), Object.values(model.variables())),
  );
  const mean = value.dataSync()[0];
  tf.dispose([value, grads] as tf.TensorContainer);
  return mean;
}
