/**
 * The policy step: trajectories and advantages in, optimizer steps out. Rows are replayed in chunks whose gradients are
 * added up, so memory does not grow with the group; old and reference log-probs are held for all updates of a rollout.
 */
import { type AdamW, clipByGlobalNorm, runningEngine, runTraced, tf } from '../engine';
import type { Policy, Trajectory, Transition } from '../models/unified';
import { PendingGradients, policyLoss, type PolicyBatch } from './losses';
import {
  checkFinite,
  checkWeights,
  meansOf,
  minibatchMetrics,
  RatioCheck,
  type RowSums,
  StepRefusedError,
} from './metrics';
import { resolveTrainStep, type TrainStepInput, type TrainStepOptions } from './options';
import {
  type Advantages,
  atWidth,
  batchOf,
  chunksOf,
  cut,
  cutRows,
  highEntropy,
  ordered,
  type Row,
  rowsOf,
  rowsRead,
  sequenceOf,
  type WeightedRow,
  weigh,
} from './rows';

export interface TrainStepMore {
  /** The order in which trajectories go into minibatches. Default: as given. */
  readonly order?: readonly number[];
  /** Called after every update, with its metrics: TRL's log of one optimizer step. */
  readonly onUpdate?: (metrics: Readonly<Record<string, number>>) => void;
  /** Gradients that wait for more minibatches than one rollout has. Default: a rollout must fill its updates. */
  readonly pending?: PendingGradients;
}

/**
 * Learns from one rollout: `numIterations` passes over its minibatches, an update after every
 * `gradientAccumulationSteps` of them.
 * @param reference of the KL penalty; needed when `beta` is above 0
 * @param advantages one a trajectory, or one for each of its kinds of segments
 * @returns means over the updates, under TRL's names
 * @throws StepRefusedError when a log-prob, the loss, a gradient or a weight is not finite, or a self-check fails: the
 *   update was not taken. RangeError for options, advantages or a policy that do not fit. No tensor is left behind.
 */
export async function trainStep<T extends Transition>(
  policy: Policy<T>,
  reference: Policy<T> | undefined,
  trajectories: readonly Trajectory<T>[],
  advantages: Advantages,
  optimizer: AdamW,
  options: TrainStepInput,
  more: TrainStepMore = {},
): Promise<Record<string, number>> {
  const resolved = resolveTrainStep(options);
  const pending = more.pending ?? new PendingGradients();
  try {
    const step = new PolicyStep(policy, reference, optimizer, resolved, pending);
    return await step.run(rowsOf(trajectories, advantages, resolved), more);
  } catch (error) {
    pending.dispose();
    throw error;
  }
}

class PolicyStep<T extends Transition> {
  private readonly ratios: RatioCheck;
  /** Updates taken of this rollout. */
  private updates = 0;
  private readonly records: Record<string, number>[] = [];

  constructor(
    private readonly policy: Policy<T>,
    private readonly reference: Policy<T> | undefined,
    private readonly optimizer: AdamW,
    private readonly options: TrainStepOptions,
    private readonly pending: PendingGradients,
  ) {
    if (options.beta > 0 && !reference) throw new RangeError('a KL penalty (beta above 0) needs a reference policy');
    this.ratios = new RatioCheck(options.selfChecks, runningEngine()?.precision !== 'bf16', this.replaysOld);
  }

  async run(perTrajectory: Row<T>[][], { order, onUpdate, pending }: TrainStepMore): Promise<Record<string, number>> {
    const { stepsPerGeneration, numIterations, gradientAccumulationSteps } = this.options;
    const all = perTrajectory.flat().filter(({ tokens }) => tokens > 0);
    const microSteps = stepsPerGeneration * numIterations;
    if (!pending && microSteps % gradientAccumulationSteps > 0)
      throw new RangeError(
        `${microSteps} minibatches cannot be accumulated by ${gradientAccumulationSteps}: change stepsPerGeneration or gradientAccumulationSteps`,
      );
    const minibatches = cut(ordered(perTrajectory, order), stepsPerGeneration);
    const share = all.reduce((sum, { tokens }) => sum + tokens, 0) / stepsPerGeneration;
    await this.recordConstants(all, this.pending.steps + microSteps > gradientAccumulationSteps);
    for (let i = 0; i < numIterations; i++) {
      for (const minibatch of minibatches) {
        await this.accumulate(weigh(minibatch, share, this.options));
        if (this.pending.steps < gradientAccumulationSteps) continue;
        const metrics = await this.update();
        this.records.push(metrics);
        onUpdate?.(metrics);
      }
    }
    return { ...meansOf(this.records), ...this.samplingMetrics(), learning_rate: this.options.learningRate };
  }

  private samplingMetrics(): Record<string, number> {
    const { importanceSamplingCorrection, importanceSamplingCap } = this.options;
    return this.ratios.metrics(importanceSamplingCorrection ? importanceSamplingCap : undefined);
  }

  private get replaysOld(): boolean {
    const { oldLogProbs } = this.options;
    return oldLogProbs === 'replayed' || (oldLogProbs === 'auto' && runningEngine()?.precision === 'bf16');
  }

  /** What stays the same for all updates of the rollout. @param several whether there is more than one */
  private async recordConstants(rows: Row<T>[], several: boolean): Promise<void> {
    const { beta, topEntropyQuantile, logEntropy, importanceSamplingCorrection } = this.options;
    const replaysOld = this.replaysOld;
    const wantsEntropy = topEntropyQuantile < 1 || logEntropy;
    if (wantsEntropy && !this.policy.entropies)
      throw new RangeError('topEntropyQuantile and logEntropy need a policy that gives entropies');
    for (const chunk of chunksOf(rows, this.chunkSize)) {
      const transitions = chunk.map(({ transition }) => transition);
      if (!replaysOld) for (const row of chunk) row.old = row.transition.logProbs;
      else if (several || importanceSamplingCorrection) {
        const replayed = await this.read('replay', chunk, () => this.policy.replay(transitions));
        checkFinite(chunk, replayed, 'replayed');
        chunk.forEach((row, i) => (row.old = replayed[i]));
      }
      if (beta > 0 && this.reference) {
        const { reference } = this;
        const given = await this.read('reference replay', chunk, () => reference.replay(transitions));
        checkFinite(chunk, given, "reference's");
        chunk.forEach((row, i) => (row.reference = given[i]));
      }
    }
  }

  /** What a traced forward pass gives for rows, as numbers. */
  private read(name: string, chunk: readonly Row<T>[], compute: () => tf.Tensor2D): Promise<Float32Array[]> {
    return rowsRead(chunk, () => runTraced(this.optimizer, name, compute));
  }

  private get chunkSize(): number {
    return this.options.chunk ?? (tf.getBackend() === 'wasm' ? 6 : 24);
  }

  /** Adds the gradients of one minibatch to those that wait. */
  private async accumulate(rows: WeightedRow<T>[]): Promise<void> {
    await this.recordEntropies(rows);
    const keeps = highEntropy(rows, this.options.topEntropyQuantile);
    const sequences = await this.sequenceSums(rows);
    const sums: RowSums[] = [];
    let loss = 0;
    for (const chunk of chunksOf(rows, this.chunkSize)) {
      const found = await this.chunkGradients(chunk, keeps, sequences);
      loss += found.loss;
      sums.push(...found.sums);
    }
    const { pending } = this;
    pending.loss += loss;
    pending.steps++;
    pending.teaches ||= rows.some(({ advantage, weight }) => advantage !== 0 && weight > 0);
    // Rows come chunk by chunk, text first.
    if (rows.length > 0)
      pending.metrics.push(minibatchMetrics([...chunksOf(rows, Infinity)].flat(), sums, this.options));
  }

  private async recordEntropies(rows: WeightedRow<T>[]): Promise<void> {
    const { policy } = this;
    if (this.options.topEntropyQuantile === 1 && !this.options.logEntropy) return;
    for (const chunk of chunksOf(rows, this.chunkSize)) {
      const entropies = await this.read('entropies', chunk, () => {
        if (!policy.entropies) throw new RangeError('the policy gives no entropies');
        return policy.entropies(chunk.map(({ transition }) => transition));
      });
      chunk.forEach((row, i) => (row.entropies = entropies[i]));
    }
  }

  /** Sums over segments that several rows make up; undefined where each row is one, or nobody asks. */
  private async sequenceSums(rows: WeightedRow<T>[]): Promise<Map<string, number> | undefined> {
    if (this.options.importanceSamplingLevel === 'token' || rows.every(({ wholeSegment }) => wholeSegment))
      return undefined;
    const sums = new Map<string, number>();
    for (const chunk of chunksOf(rows, this.chunkSize)) {
      const replayed = await this.read('replay', chunk, () =>
        this.policy.replay(chunk.map(({ transition }) => transition)),
      );
      for (const [i, row] of chunk.entries()) {
        const { old } = row;
        const sum = row.mask.reduce((all, m, t) => all + (m && old ? replayed[i][t] - old[t] : 0), 0);
        sums.set(sequenceOf(row), (sums.get(sequenceOf(row)) ?? 0) + sum);
      }
    }
    return sums;
  }

  private async chunkGradients(
    chunk: WeightedRow<T>[],
    keeps: (row: Row, token: number) => boolean,
    sequences: Map<string, number> | undefined,
  ): Promise<{ loss: number; sums: RowSums[] }> {
    const batch = batchOf(chunk, keeps, sequences, this.options);
    let made: tf.TensorContainer = [];
    try {
      const { grads, ...told } = runTraced(this.optimizer, 'policy gradient', () => this.gradients(chunk, batch));
      made = told;
      this.pending.add(grads);
      const [loss, logProbs, metrics] = await Promise.all(
        [told.loss, told.logProbs, told.metrics].map((tensor) => tensor.data<'float32'>()),
      );
      const replayed = cutRows(chunk, logProbs);
      checkFinite(chunk, replayed, 'replayed');
      if (this.updates === 0) this.ratios.check(chunk, replayed);
      if (!Number.isFinite(loss[0])) throw new StepRefusedError(`the loss is ${loss[0]}: the step was not taken`);
      const sums = chunk.map((_, i) => ({
        kl: metrics[i],
        clippedLow: metrics[chunk.length + i],
        clippedHigh: metrics[2 * chunk.length + i],
      }));
      return { loss: loss[0], sums };
    } finally {
      tf.dispose([batch as unknown as tf.TensorContainer, made]);
    }
  }

  /** @returns the loss, the log-probs, the metrics `[3, rows]` and the gradients by upstream name: they outlive tidies */
  private gradients(chunk: WeightedRow<T>[], batch: Omit<PolicyBatch, 'logProbs'>) {
    const variables = this.policy.variables();
    const told: tf.Tensor[] = [];
    try {
      const { value: loss, grads } = tf.variableGrads(() => {
        const logProbs = atWidth(chunk, this.policy.replay(chunk.map(({ transition }) => transition)));
        const { loss, metrics } = policyLoss({ ...batch, logProbs }, this.options);
        const { kl, clippedLow, clippedHigh } = metrics;
        told.push(tf.keep(tf.clone(logProbs)), tf.keep(tf.stack([kl, clippedLow, clippedHigh])));
        return loss;
      }, Object.values(variables));
      const reached = Object.entries(variables).filter(([, variable]) => variable.name in grads);
      const [logProbs, metrics] = told;
      const named = Object.fromEntries(reached.map(([name, variable]) => [name, grads[variable.name]]));
      return { loss, logProbs, metrics, grads: named };
    } catch (error) {
      tf.dispose(told);
      throw error;
    }
  }

  /** One optimizer step from the gradients that wait. */
  private async update(): Promise<Record<string, number>> {
    const { policy, optimizer, options, pending } = this;
    const variables = policy.variables();
    // Once a step, and little work: neither this nor the optimizer's update is worth a function to be compiled.
    const { grads, norm } = tf.tidy(() => clipByGlobalNorm(pending.gradients, options.maxGradNorm));
    try {
      const grad_norm = (await norm.data())[0];
      if (!Number.isFinite(grad_norm))
        throw new StepRefusedError(`the gradient is not finite (its norm is ${grad_norm}): the step was not taken`);
      if (options.selfChecks.zeroGradient && this.updates === 0 && pending.teaches && grad_norm === 0)
        throw new StepRefusedError(
          'the advantages are not all 0, but the gradient is: what is replayed does not depend on the weights, or every token is masked',
        );
      await checkWeights(variables);
      if (Object.keys(grads).length > 0) tf.tidy(() => optimizer.apply({ ...variables }, grads, options.learningRate));
      this.updates++;
      if (this.reference && options.refModelSyncSteps !== null && optimizer.step % options.refModelSyncSteps === 0)
        synchronizeReference(this.reference, policy, options.refModelMixupAlpha);
      return { loss: pending.loss, ...meansOf(pending.metrics), grad_norm };
    } finally {
      tf.dispose([grads, norm] as tf.TensorContainer);
      pending.dispose();
    }
  }
}

/** Moves a reference towards the policy: reference = alpha policy + (1 - alpha) reference. @throws RangeError when it holds no such variable */
export function synchronizeReference(reference: Policy, policy: Policy, alpha: number): void {
  const held = reference.variables();
  for (const [name, variable] of Object.entries(policy.variables())) {
    if (!(name in held)) throw new RangeError(`the reference cannot follow the policy: it has no variable '${name}'`);
    const mixed = tf.tidy(() => tf.add(tf.mul(variable, alpha), tf.mul(held[name], 1 - alpha)));
    held[name].assign(mixed);
    mixed.dispose();
  }
}
