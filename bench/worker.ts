/** UniLab's half of the benchmark, in a process of its own: a precision is chosen before the engine's library loads. */
import {
  measureMatmul,
  type Precision,
  profileKernels,
  Rng,
  runTraced,
  startEngine,
  tf,
  traceReports,
  withoutTracing,
} from '../src/engine';
import { loadSprites, IMAGE_SIZE } from '../src/miniworld';
import { sceneSource } from '../src/miniworld/curricula/scenes';
import { showoInputs, showoSizes, showoTask } from '../src/miniworld/curricula/showo-task';
import type { ShowoModel } from '../src/models/showo/model';
import { ShowoLayers } from '../src/models/showo/layers';
import { ShowoNetwork } from '../src/models/showo/network';
import type { ImageTransition } from '../src/models/showo/policy';
import { ShowoImageSampler } from '../src/models/showo/sampler';
import { type StepReport, trainSupervised } from '../src/sft/loop';
import { BENCH_TRAINING, type BenchInputs, type BenchParts, piecesOf, readInputs, writeInputs } from './inputs';
import { GrpoBench } from './grpo';
import { type Answer, serveLines } from './line-worker';
import type { Work } from './report';
import { residentBytes } from './resident';
import type { BenchModel, BenchSizes } from './sizes';

/** A work; `round` says which batch. @returns the number that PyTorch must agree with */
type Run = (round: number) => number | Promise<number>;

/** Serves `prepare`, `load`, the works by name, `check`, `ceiling`, `compiled` and `profile` until stdin ends. */
export async function serveBench(precision: Precision): Promise<void> {
  const report = await startEngine({ precision, quiet: true });
  let works: Record<Work, Run> | undefined;
  let grpo: GrpoBench | undefined;
  let drawn = NaN;
  const workOf = (name: unknown): Run => {
    const work = works?.[name as Work];
    if (!work) throw new Error(`there is no work '${String(name)}' (loaded: ${Object.keys(works ?? {}).join(', ')})`);
    return work;
  };
  const tasks: Record<string, (command: Answer) => Promise<Answer>> = {
    prepare: async ({ folder, model, sizes }) => {
      await writeInputs(String(folder), model as BenchModel, sizes as BenchSizes);
      return {};
    },
    load: async ({ folder }) => {
      const parts = await readInputs(String(folder));
      grpo = await GrpoBench.load(parts.grpo);
      works = await worksOf(parts, grpo);
      drawn = parts.inputs.janus.logProb;
      return { ...report, parameters: parts.model.store.count() };
    },
    profile: async ({ work }) => {
      const run = workOf(work);
      const { elapsed, kernels } = await profileKernels(async () => void (await run(0)));
      return { elapsed, kernels };
    },
    check: async () => {
      if (!grpo) throw new Error('nothing is loaded');
      return { ...(await grpo.check()), drawn };
    },
    ceiling: async () => ({ gflops: await measureMatmul() }),
    compiled: () => Promise.resolve({ reports: traceReports(), memory: residentBytes() }),
  };
  await serveLines((command) => {
    const task = tasks[String(command.do)];
    return task ? task(command) : timed(workOf(command.do), command);
  });
}

async function timed(work: Run, { traced, round }: Answer): Promise<Answer> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const run = () => work(Number(round ?? 0));
  const value = await (traced === false ? withoutTracing(run) : run());
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6, value };
}

async function worksOf(parts: BenchParts, grpo: GrpoBench): Promise<Record<Work, Run>> {
  const { model, inputs, janus } = parts;
  const { sizes } = inputs;
  const steps = await trainingSteps(model, inputs);
  const pieces = piecesOf(inputs.pieces, sizes.guidanceScale);
  // Positions are rotary: the same weights draw larger images.
  const large = new ShowoNetwork(new ShowoLayers({ ...model.config, num_vq_tokens: 256 }).with(model.store));
  let rollouts = 0;
  return {
    train: (round) => steps(round),
    masked64: () => rollout(model.network, inputs, sizes.rollouts, rollouts++),
    masked256: () => rollout(large, inputs, sizes.drawn, rollouts++),
    codes64: () => janus.draw(64),
    codes256: () => janus.draw(256),
    replay: () => replay(model, pieces),
    grpo: () => grpo.step(),
  };
}

/** The loop that trains the shipped checkpoint, on batches that were made before: making them is not what is compared. */
async function trainingSteps(model: ShowoModel, { batches, sizes, config }: BenchInputs): Promise<Run> {
  const source = sceneSource(await loadSprites(), model.tokenizer, 'train');
  const options = { ...sizes, size: IMAGE_SIZE, weights: BENCH_TRAINING.weights };
  const padded = showoSizes(config, source, options);
  let next = 0;
  const task = {
    ...showoTask(model, source, options),
    batch: () => {
      const rows = batches[next % batches.length];
      return showoInputs(config, rows, padded(rows));
    },
  };
  const { weightDecay, beta2, learningRate } = BENCH_TRAINING;
  const settings = { steps: 1e9, warmupSteps: 0, learningRate, weightDecay, beta2, seed: 1 };
  const loop: AsyncGenerator<StepReport, void> = trainSupervised(task, settings);
  return async (round) => {
    next = round;
    const { value } = await loop.next();
    if (!value) throw new Error('the training loop ended');
    return value.loss;
  };
}

/** Guided images from all-masked to done. @returns mean log p of the drawn codes */
function rollout(network: ShowoNetwork, { captions, sizes }: BenchInputs, images: number, seed: number): number {
  const rng = new Rng(seed);
  const requests = captions.slice(0, images).map((condition, i) => ({ condition, draws: rng.split(i) }));
  const { steps, guidanceScale } = sizes;
  const batch = ShowoImageSampler.start(network, requests, { steps, guidanceScale });
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
