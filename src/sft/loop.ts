/**
 * The supervised training loop that every model here is trained with: AdamW, warm-up and cosine, clipping by global
 * norm, checkpoints, exact resume. Batches depend on the seed and the step alone, so a resumed run sees the batches
 * that the uninterrupted one would have seen.
 */
import { AdamW, clipByGlobalNorm, Rng, tf, warmupCosine } from '../engine';
import { CheckpointStore, fromTensor, toTensor, type WritableTensor } from '../io';

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
  /** Folder of checkpoints; none without it. A checkpoint found there is gone on from. */
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

interface LoopState {
  readonly task: string;
  readonly seed: number;
  readonly steps: number;
}

/**
 * Runs the loop; every step is reported as it is done. Stop it between steps by leaving the `for await`: with a folder,
 * the state is saved then, and the next run goes on from there.
 * @throws Error when a checkpoint in the folder belongs to another task or seed, or when the loss is not finite
 */
export async function* trainSupervised<Batch>(
  task: SupervisedTask<Batch>,
  options: LoopOptions,
): AsyncGenerator<StepReport, void> {
  const { steps, scheduleSteps = steps, learningRate = 1e-3, floor = 0.02, maxGradNorm = 1 } = options;
  const warmupSteps = options.warmupSteps ?? Math.ceil(scheduleSteps / 20);
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
  const store = options.folder ? new CheckpointStore<LoopState>(options.folder, 2) : undefined;
  const identity: LoopState = { task: task.name, seed: options.seed, steps };
  let done = 0;
  let saved = 0;
  const save = async () => {
    if (!store || saved === done) return;
    const state = optimizer.state();
    try {
      await store.save(done, { tensors: trainingTensors(task.variables, state), state: identity });
    } finally {
      tf.dispose(state);
    }
    saved = done;
  };
  try {
    if (store) saved = done = await restore(store, task, optimizer, identity, options.fallback ?? false);
    const rng = new Rng(options.seed).split(task.name);
    while (done < steps) {
      const start = performance.now();
      const batch = await task.batch(done, rng.split(done));
      const rate = schedule(done);
      const { values, gradNorm } = optimizerStep(task, batch, optimizer, rate, maxGradNorm);
      tf.dispose(batch as tf.TensorContainer);
      done++;
      const { loss, ...metrics } = values;
      if (!Number.isFinite(loss))
        throw new Error(
          `${task.name}: the loss is ${loss} at step ${done}; lower the learning rate or look at the data`,
        );
      const report = {
        step: done,
        steps,
        loss,
        gradNorm,
        learningRate: rate,
        metrics,
        seconds: (performance.now() - start) / 1000,
      };
      if (done % (options.checkpointEvery ?? 200) === 0) await save();
      yield report;
    }
  } finally {
    await save();
    optimizer.dispose();
  }
}

function optimizerStep<Batch>(
  task: SupervisedTask<Batch>,
  batch: Batch,
  optimizer: AdamW,
  rate: number,
  maxGradNorm: number,
) {
  const names = Object.keys(task.variables);
  let kept: Record<string, tf.Scalar> = {};
  const { value, grads } = tf.variableGrads(() => {
    const { loss, metrics } = task.loss(batch);
    kept = Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, tf.keep(tf.clone(metric))]));
    return loss;
  }, Object.values(task.variables));
  // tf.js keys gradients by its own variable names; the optimizer's state goes by the task's.
  const reached = names.filter((name) => grads[task.variables[name].name]);
  const named = Object.fromEntries(reached.map((name) => [name, grads[task.variables[name].name]]));
  const clipped = clipByGlobalNorm(named, maxGradNorm);
  optimizer.apply(task.variables, clipped.grads, rate);
  const values: Record<string, number> = { loss: value.dataSync()[0] };
  for (const [name, metric] of Object.entries(kept)) values[name] = metric.dataSync()[0];
  const gradNorm = clipped.norm.dataSync()[0];
  tf.dispose([value, grads, clipped.grads, clipped.norm, kept] as tf.TensorContainer);
  return { values, gradNorm };
}

/** Weights and optimizer state (`AdamW.state`) under one roof, for a checkpoint that resumes exactly. */
export function trainingTensors(
  variables: Readonly<Record<string, tf.Variable>>,
  optimizer: Readonly<Record<string, tf.Tensor>>,
): Record<string, WritableTensor> {
  const out: Record<string, WritableTensor> = {};
  for (const [name, variable] of Object.entries(variables)) out[`model.${name}`] = fromTensor(variable);
  for (const [name, tensor] of Object.entries(optimizer)) out[`optimizer.${name}`] = fromTensor(tensor);
  return out;
}

/** Puts a checkpoint's tensors back where {@link trainingTensors} took them. */
export function restoreTraining(
  variables: Readonly<Record<string, tf.Variable>>,
  optimizer: AdamW,
  tensors: Parameters<typeof toTensor>[0] extends infer T ? Record<string, T> : never,
): void {
  const state: Record<string, tf.Tensor> = {};
  for (const [name, raw] of Object.entries(tensors)) {
    const tensor = toTensor(raw);
    if (name.startsWith('optimizer.')) state[name.slice('optimizer.'.length)] = tensor;
    else {
      variables[name.slice('model.'.length)]?.assign(tensor);
      tensor.dispose();
    }
  }
  optimizer.load(state);
  tf.dispose(state);
}

async function restore<Batch>(
  store: CheckpointStore<LoopState>,
  task: SupervisedTask<Batch>,
  optimizer: AdamW,
  identity: LoopState,
  fallback: boolean,
): Promise<number> {
  const found = await store.latest({ fallback });
  if (!found) return 0;
  const { state } = found;
  for (const key of ['task', 'seed', 'steps'] as const) {
    if (state[key] !== identity[key]) {
      throw new Error(
        `${found.folder} belongs to another run: its ${key} is ${state[key]}, this run's is ${identity[key]}; give another folder or remove that one`,
      );
    }
  }
  restoreTraining(task.variables, optimizer, found.tensors);
  return found.step;
}
