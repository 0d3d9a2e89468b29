/**
 * The supervised training loop that every model here is trained with: AdamW, warm-up and cosine, clipping by global
 * norm, checkpoints, exact resume. Batches depend on the seed and the step alone, so a resumed run sees the batches
 * that the uninterrupted one would have seen.
 */
import { AdamW, clipByGlobalNorm, Rng, tf, warmupCosine } from '../engine';
import { RunFolder } from '../io';

/** What is trained, on what, by which loss. */
export interface SupervisedTask<Batch> {
  readonly name: string;
  /** Trained variables by name; the names are those of the checkpoints. */
  readonly variables: Readonly<Record<string, tf.Variable>>;
  /** One batch of plain numbers and constant tensors; the loop disposes the tensors in it. */
  batch(step: number, rng: Rng): Batch | Promise<Batch>;
  /** The scalar to be minimized, and scalars to be logged. Runs inside a tidy. */
  loss(batch: Batch): { loss: tf.Scalar; metrics: Record<string, tf.Scalar> };
}

export interface LoopOptions {
  /** Number of optimizer steps. */
  readonly steps: number;
  /** Steps that the learning rate's schedule is laid out for, when training stops before its end. Default: `steps`. */
  readonly scheduleSteps?: number;
  /** Peak learning rate. Default 1e-3. */
  readonly learningRate?: number;
  /** Default a twentieth of the steps. */
  readonly warmupSteps?: number;
  /** Final learning rate as a share of the peak. Default 0.02. */
  readonly floor?: number;
  /** Decoupled; matrices only. Default 0.01. */
  readonly weightDecay?: number;
  /** AdamW's second-moment decay. Default 0.99: short runs. */
  readonly beta2?: number;
  /** Default 1. */
  readonly maxGradNorm?: number;
  readonly seed: number;
  /** Folder of the run; none without it. A run found there is gone on with. */
  readonly folder?: string;
  /** Steps between checkpoints. Default 200. */
  readonly checkpointEvery?: number;
  /** Go on from the newest whole checkpoint when the newest is broken. Default false: say so and stop. */
  readonly fallback?: boolean;
}

export interface StepReport {
  /** Optimizer steps done, from 1. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/**
 * Runs the loop; every step is reported as it is done. Stop it between steps by leaving the `for await`: with a folder,
 * the state is saved then, and the next run goes on from there.
 * @throws RunError when the folder holds a run with other options; Error when the loss, the gradient or a weight is not
 *   finite: the step is not taken then, and nothing is saved
 */
export async function* trainSupervised<Batch>(
  task: SupervisedTask<Batch>,
  options: LoopOptions,
): AsyncGenerator<StepReport, void> {
  const { steps, scheduleSteps = steps, learningRate = 1e-3, floor = 0.02, maxGradNorm = 1 } = options;
  const warmupSteps = options.warmupSteps ?? Math.min(scheduleSteps - 1, Math.ceil(scheduleSteps / 20));
  const schedule = warmupCosine({
    base: learningRate,
    warmupSteps,
    totalSteps: scheduleSteps,
    floor: floor * learningRate,
  });
  const ranks = Object.fromEntries(
    Object.entries(task.variables).map(([name, variable]) => [name, variable.shape.length]),
  );
  const optimizer = new AdamW({
    learningRate,
    beta2: options.beta2 ?? 0.99,
    weightDecay: options.weightDecay ?? 0.01,
    decay: (name: string) => ranks[name] > 1,
  });
  const model = { variables: () => task.variables };
  const run = options.folder ? await openRun(options.folder, task.name, options) : undefined;
  const state = { step: 0 };
  let failed = true; // what throws is not saved
  try {
    await run?.restore(state, { model, optimizer });
    const rng = new Rng(options.seed).split(task.name);
    while (state.step < steps) {
      const start = performance.now();
      const batch = await task.batch(state.step, rng.split(state.step));
      const rate = schedule(state.step);
      const { values, gradNorm } = await optimizerStep(task, batch, optimizer, rate, maxGradNorm, state.step + 1);
      state.step++;
      const { loss, ...metrics } = values;
      const seconds = (performance.now() - start) / 1000;
      const logged = { loss, grad_norm: gradNorm, learning_rate: rate, ...metrics };
      await run?.log({ step: state.step, metrics: logged, timings: { step: seconds } });
      await run?.save(state, { model, optimizer });
      failed = false;
      yield { step: state.step, steps, loss, gradNorm, learningRate: rate, metrics, seconds };
      failed = true;
    }
    failed = false;
  } finally {
    if (!failed) await run?.save(state, { model, optimizer }, { now: true });
    await run?.close();
    optimizer.dispose();
  }
}

/** The options that make a run what it is; those of its keeping may change. */
function openRun(folder: string, task: string, options: LoopOptions): Promise<RunFolder> {
  const { folder: _, checkpointEvery = 200, fallback, ...identity } = options;
  return RunFolder.open(folder, { task, ...identity }, { resume: true, checkpointEvery, fallback });
}

/** @throws Error when a number is not finite; then nothing was changed, and no tensor is left */
async function optimizerStep<Batch>(
  task: SupervisedTask<Batch>,
  batch: Batch,
  optimizer: AdamW,
  rate: number,
  maxGradNorm: number,
  step: number,
): Promise<{ values: Record<string, number>; gradNorm: number }> {
  const refuse = (what: string, is: number): never => {
    throw new Error(
      `${task.name}: the ${what} is ${is} at step ${step}; the step was not taken: lower the learning rate or look at the data`,
    );
  };
  const made: tf.Tensor[] = [];
  try {
    const names: string[] = [];
    const { value, grads } = tf.variableGrads(() => {
      const { loss, metrics } = task.loss(batch);
      for (const [name, metric] of Object.entries(metrics)) {
        names.push(name);
        made.push(tf.keep(tf.clone(metric)));
      }
      return loss;
    }, Object.values(task.variables));
    // tf.js keys gradients by its own variable names; the optimizer's state goes by the task's.
    const reached = Object.entries(task.variables).filter(([, variable]) => variable.name in grads);
    const named = Object.fromEntries(reached.map(([name, variable]) => [name, grads[variable.name]]));
    const clipped = clipByGlobalNorm(named, maxGradNorm);
    const weights = tf.tidy(() => tf.addN(Object.values(task.variables).map((w) => tf.sum(tf.mul(w, 0)))));
    const metricTensors = made.splice(0);
    made.push(value, clipped.norm, weights, ...metricTensors, ...Object.values(grads), ...Object.values(clipped.grads));
    const [loss, gradNorm, finite] = await Promise.all([value, clipped.norm, weights].map(numberOf));
    if (!Number.isFinite(loss)) refuse('loss', loss);
    if (!Number.isFinite(gradNorm)) refuse("gradient's norm", gradNorm);
    if (finite !== 0) refuse('sum of all weights', NaN);
    optimizer.apply({ ...task.variables }, clipped.grads, rate);
    const metrics = await Promise.all(metricTensors.map(numberOf));
    return { values: { loss, ...Object.fromEntries(names.map((name, i) => [name, metrics[i]])) }, gradNorm };
  } finally {
    tf.dispose([batch as tf.TensorContainer, made]);
  }
}

const numberOf = async (tensor: tf.Tensor): Promise<number> => (await tensor.data<'float32'>())[0];
