/**
 * The supervised training loop that every model here is trained with: AdamW, warm-up and cosine, clipping by global
 * norm, checkpoints, exact resume. Batches depend on the seed and the step alone, so a resumed run sees the batches
 * that the uninterrupted one would have seen.
 */
import { AdamW, clipByGlobalNorm, Muon, Rng, runTraced, tf, warmupCosine } from '../engine';
import { RunFolder } from '../io';

/** The update of fewer variables (a subject's tokens) is not worth a function to be compiled. */
const FEW = 16;

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
  /**
   * `adamw`, or `muon`: orthogonal steps for the matrices of transformer blocks (see `Muon`), AdamW's for the rest.
   * Default `adamw`.
   */
  readonly optimizer?: 'adamw' | 'muon';
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
  const settings = {
    learningRate,
    beta2: options.beta2 ?? 0.99,
    weightDecay: options.weightDecay ?? 0.01,
    decay: (name: string) => ranks[name] > 1,
  };
  const optimizer =
    options.optimizer === 'muon' ? new Muon({ ...settings, orthogonal: isBlockMatrix }) : new AdamW(settings);
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

/** Whether a variable is a matrix of a numbered block, such as `language_model.layers.0.mlp.up_proj.weight`. */
const isBlockMatrix = (name: string) => /\.layers\.\d+\..*(proj|fc1|fc2)\.weight$/.test(name);

/** The options that make a run what it is; those of its keeping may change. */
function openRun(folder: string, task: string, options: LoopOptions): Promise<RunFolder> {
  const { folder: _, checkpointEvery = 200, fallback, ...identity } = options;
  return RunFolder.open(folder, { task, ...identity }, { resume: true, checkpointEvery, fallback });
}

/** @throws Error when a number is not finite; then nothing was changed, and no tensor is left */
async function optimizerStep<Batch>(
  task: SupervisedTask<Batch>,
  batch: Batch,
  optimizer: AdamW | Muon,
  rate: number,
  maxGradNorm: number,
  step: number,
): Promise<{ values: Record<string, number>; gradNorm: number }> {
  const refuse = (what: string, is: number): never => {
    throw new Error(
      `${task.name}: the ${what} is ${is} at step ${step}; the step was not taken: lower the learning rate or look at the data`,
    );
  };
  let made: ReturnType<typeof gradients> | undefined;
  try {
    const found = runTraced(optimizer, `${task.name}: loss and gradient`, () => gradients(task, batch, maxGradNorm));
    made = found;
    const [loss, gradNorm, finite] = await Promise.all([found.loss, found.norm, found.weights].map(numberOf));
    if (!Number.isFinite(loss)) refuse('loss', loss);
    if (!Number.isFinite(gradNorm)) refuse("gradient's norm", gradNorm);
    if (finite !== 0) refuse('sum of all weights', NaN);
    const update = () => {
      optimizer.apply({ ...task.variables }, found.grads, rate);
      return [];
    };
    if (Object.keys(task.variables).length < FEW) tf.tidy(update);
    else runTraced(optimizer, `${task.name}: update`, update);
    const metrics = await Promise.all(
      Object.entries(found.metrics).map(async ([name, metric]) => [name, await numberOf(metric)] as const),
    );
    return { values: { loss, ...Object.fromEntries(metrics) }, gradNorm };
  } finally {
    tf.dispose([batch as tf.TensorContainer, made]);
  }
}

/** All that a step needs to know: the loss, clipped gradients by the task's names, and whether weights are finite. */
function gradients<Batch>(task: SupervisedTask<Batch>, batch: Batch, maxGradNorm: number) {
  const metrics: Record<string, tf.Scalar> = {};
  try {
    const { value: loss, grads } = tf.variableGrads(() => {
      const found = task.loss(batch);
      // variableGrads ends tidies of its own, which the metrics outlive.
      for (const [name, metric] of Object.entries(found.metrics)) metrics[name] = tf.keep(tf.clone(metric));
      return found.loss;
    }, Object.values(task.variables));
    return { loss, metrics, ...checked(task, grads, maxGradNorm) };
  } catch (error) {
    tf.dispose(metrics);
    throw error;
  }
}

/** Clipped gradients by the task's names, their norm, and a number that is 0 if every weight is finite, else NaN. */
function checked<Batch>({ variables }: SupervisedTask<Batch>, grads: tf.NamedTensorMap, maxGradNorm: number) {
  // tf.js keys gradients by its own variable names; the optimizer's state goes by the task's.
  const reached = Object.entries(variables).filter(([, variable]) => variable.name in grads);
  const named = Object.fromEntries(reached.map(([name, variable]) => [name, grads[variable.name]]));
  const clipped = clipByGlobalNorm(named, maxGradNorm);
  // Of numbers that are not finite no sum is, and 0 times it is NaN.
  const weights = tf.mul<tf.Scalar>(tf.addN(Object.values(variables).map((w) => tf.sum(w))), 0);
  return { grads: clipped.grads, norm: clipped.norm, weights };
}

const numberOf = async (tensor: tf.Tensor): Promise<number> => (await tensor.data<'float32'>())[0];
