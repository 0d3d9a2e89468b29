/**
 * The policy step: trajectories and advantages in, optimizer steps out. Rows are replayed in chunks whose gradients are
 * added up, so memory does not grow with the group; old and reference log-probs are held for all updates of a rollout.
 */
import { type AdamW, clipByGlobalNorm, runningEngine, tf } from '../engine';
import type { Policy, Trajectory, Transition } from '../models/unified';
import { policyLoss, type PolicyBatch } from './losses';
import { meansOf, minibatchMetrics, type RowSums, SamplingMismatch, StepRefusedError } from './metrics';
import { resolveTrainStep, type TrainStepInput, type TrainStepOptions } from './options';
import {
  type Advantages,
  chunksOf,
  column,
  longestOf,
  placeOf,
  type Row,
  rowsOf,
  table,
  type WeightedRow,
  weigh,
} from './rows';

/** Gradients of minibatches that have not made an update yet. */
export class PendingGradients {
  private sums: Record<string, tf.Tensor> = {};
  /** Minibatches added. */
  steps = 0;
  /** Their metrics, and whether one of them has an advantage that is not 0. */
  readonly metrics: Record<string, number>[] = [];
  loss = 0;
  teaches = false;

  get gradients(): Readonly<Record<string, tf.Tensor>> {
    return this.sums;
  }

  /** Takes the tensors over. */
  add(gradients: Readonly<Record<string, tf.Tensor>>): void {
    for (const [name, gradient] of Object.entries(gradients)) {
      const before = this.sums[name] as tf.Tensor | undefined;
      this.sums[name] = before ? tf.add(before, gradient) : gradient;
      if (before) tf.dispose([before, gradient]);
    }
  }

  /** Forgets everything; the object can be used again. */
  dispose(): void {
    tf.dispose(this.sums as tf.TensorContainer);
    [this.sums, this.steps, this.loss, this.teaches] = [{}, 0, 0, false];
    this.metrics.length = 0;
  }
}

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
  private readonly mismatch = new SamplingMismatch();
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
    return this.mismatch.metrics(importanceSamplingCorrection ? importanceSamplingCap : undefined);
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
        const replayed = await rowsRead(chunk, () => this.policy.replay(transitions));
        this.checkFinite(chunk, replayed, 'replayed');
        chunk.forEach((row, i) => (row.old = replayed[i]));
      }
      if (beta > 0 && this.reference) {
        const { reference } = this;
        const given = await rowsRead(chunk, () => reference.replay(transitions));
        this.checkFinite(chunk, given, "reference's");
        chunk.forEach((row, i) => (row.reference = given[i]));
      }
    }
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
      const entropies = await rowsRead(chunk, () => {
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
      const replayed = await rowsRead(chunk, () => this.policy.replay(chunk.map(({ transition }) => transition)));
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
    const batch = this.batchOf(chunk, keeps, sequences);
    const made: tf.Tensor[] = [];
    try {
      const gradients = this.gradients(chunk, batch, made);
      this.pending.add(gradients);
      const [loss, logProbs, metrics] = await Promise.all(made.map((tensor) => tensor.data<'float32'>()));
      const replayed = cutRows(chunk, logProbs);
      this.checkFinite(chunk, replayed, 'replayed');
      if (this.updates === 0) this.checkRatio(chunk, replayed);
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

  private batchOf(
    chunk: WeightedRow<T>[],
    keeps: (row: Row, token: number) => boolean,
    sequences: Map<string, number> | undefined,
  ): Omit<PolicyBatch, 'logProbs'> {
    const { importanceSamplingCorrection, importanceSamplingCap, topEntropyQuantile } = this.options;
    const factor = (row: Row, t: number): number => {
      if (!keeps(row, t)) return 0;
      if (!importanceSamplingCorrection || !row.old) return 1;
      return Math.min(Math.exp(row.old[t] - row.transition.logProbs[t]), importanceSamplingCap);
    };
    return {
      mask: table(chunk, () => 1),
      weights: table(chunk, ({ weight }) => weight),
      advantages: column(chunk, ({ advantage }) => advantage),
      oldLogProbs: chunk[0].old && table(chunk, ({ old }, t) => (old as Float32Array)[t]),
      refLogProbs: chunk[0].reference && table(chunk, ({ reference }, t) => (reference as Float32Array)[t]),
      surrogateWeights: importanceSamplingCorrection || topEntropyQuantile < 1 ? table(chunk, factor) : undefined,
      sequence: sequences && {
        difference: column(chunk, (row) => sequences.get(sequenceOf(row)) ?? 0),
        length: column(chunk, ({ segmentTokens }) => segmentTokens),
      },
    };
  }

  /** @param made gets the loss, the log-probs and the metrics `[3, rows]`, for the caller to read and dispose */
  private gradients(
    chunk: WeightedRow<T>[],
    batch: Omit<PolicyBatch, 'logProbs'>,
    made: tf.Tensor[],
  ): Record<string, tf.Tensor> {
    const variables = this.policy.variables();
    const { value, grads } = tf.variableGrads(() => {
      const logProbs = this.policy.replay(chunk.map(({ transition }) => transition));
      checkShape(chunk, logProbs);
      const { loss, metrics } = policyLoss({ ...batch, logProbs }, this.options);
      const { kl, clippedLow, clippedHigh } = metrics;
      made.push(tf.keep(tf.clone(logProbs)), tf.keep(tf.stack([kl, clippedLow, clippedHigh])));
      return loss;
    }, Object.values(variables));
    made.unshift(value);
    const reached = Object.entries(variables).filter(([, variable]) => variable.name in grads);
    return Object.fromEntries(reached.map(([name, variable]) => [name, grads[variable.name]]));
  }

  /** One optimizer step from the gradients that wait. */
  private async update(): Promise<Record<string, number>> {
    const { policy, optimizer, options, pending } = this;
    const variables = policy.variables();
    const { grads, norm } = clipByGlobalNorm(pending.gradients, options.maxGradNorm);
    try {
      const grad_norm = (await norm.data())[0];
      if (!Number.isFinite(grad_norm))
        throw new StepRefusedError(`the gradient is not finite (its norm is ${grad_norm}): the step was not taken`);
      if (options.selfChecks.zeroGradient && this.updates === 0 && pending.teaches && grad_norm === 0)
        throw new StepRefusedError(
          'the advantages are not all 0, but the gradient is: what is replayed does not depend on the weights, or every token is masked',
        );
      await checkWeights(variables);
      if (Object.keys(grads).length > 0) optimizer.apply({ ...variables }, grads, options.learningRate);
      this.updates++;
      if (this.reference && options.refModelSyncSteps !== null && optimizer.step % options.refModelSyncSteps === 0)
        synchronizeReference(this.reference, policy, options.refModelMixupAlpha);
      return { loss: pending.loss, ...meansOf(pending.metrics), grad_norm };
    } finally {
      tf.dispose([grads, norm] as tf.TensorContainer);
      pending.dispose();
    }
  }

  /** A NaN or an infinity at a scored token. */
  private checkFinite(chunk: readonly Row[], logProbs: readonly Float32Array[], whose: string): void {
    for (const [i, row] of chunk.entries()) {
      const at = row.mask.findIndex((m, t) => m !== 0 && !Number.isFinite(logProbs[i][t]));
      if (at >= 0)
        throw new StepRefusedError(
          `the ${whose} log-prob at ${placeOf(row, at)} is ${logProbs[i][at]}: the step was not taken`,
        );
    }
  }

  /** Before the first update the policy is the one that sampled: its log-probs are those that were recorded. */
  private checkRatio(chunk: readonly Row[], replayed: readonly Float32Array[]): void {
    const { ratio, ratioTolerance, mismatchTolerance } = this.options.selfChecks;
    const exact = runningEngine()?.precision !== 'bf16';
    const worst = { apart: -1, text: '' };
    let [sum, count] = [0, 0];
    for (const [i, row] of chunk.entries()) {
      for (const [t, m] of row.mask.entries()) {
        if (!m) continue;
        const [now, recorded] = [replayed[i][t], row.transition.logProbs[t]];
        const apart = Math.abs(now - recorded);
        this.mismatch.add(now - recorded);
        [sum, count] = [sum + apart, count + 1];
        if (this.replaysOld && ratio && row.old && row.old[t] !== now)
          throw new StepRefusedError(
            `replaying ${placeOf(row, t)} twice gives ${row.old[t]} and ${now}: it must not be random`,
          );
        if (apart > worst.apart || Number.isNaN(apart))
          Object.assign(worst, {
            apart,
            text: `${placeOf(row, t)}: replayed log-prob ${now.toPrecision(6)}, recorded ${recorded.toPrecision(6)} (ratio ${Math.exp(now - recorded).toPrecision(6)})`,
          });
      }
    }
    if (!ratio) return;
    const off = exact ? Math.expm1(worst.apart) > ratioTolerance : sum / count > mismatchTolerance;
    if (off || Number.isNaN(worst.apart))
      throw new StepRefusedError(
        `the ratio before the first update is not 1 at ${worst.text}. What is replayed is not what was sampled: look at positions, images, temperature and guidance`,
      );
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

/** A sum of 0 x weight is 0 unless one is not finite, on every engine. */
async function checkWeights(variables: Readonly<Record<string, tf.Variable>>): Promise<void> {
  const list = Object.values(variables);
  if (list.length === 0) return;
  const sums = tf.tidy(() => tf.stack(list.map((variable) => tf.sum(tf.mul(variable, 0)))));
  const values = await sums.data();
  sums.dispose();
  const at = values.findIndex((value) => value !== 0);
  if (at >= 0)
    throw new StepRefusedError(`the weights '${Object.keys(variables)[at]}' are not finite: the step was not taken`);
}

const sequenceOf = ({ trajectory, segment }: Row): string => `${trajectory} ${segment}`;

/** Which tokens are among the given share of highest entropy of a minibatch. */
function highEntropy(rows: readonly Row[], share: number): (row: Row, token: number) => boolean {
  if (share === 1) return () => true;
  const all = rows.flatMap(({ mask, entropies }) =>
    [...mask.keys()].filter((t) => mask[t]).map((t) => entropies?.[t] ?? 0),
  );
  const sorted = all.sort((a, b) => a - b);
  const at = (1 - share) * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  const threshold = below + (at - Math.floor(at)) * (above - below);
  return ({ entropies }, token) => (entropies?.[token] ?? 0) >= threshold;
}

function ordered<R>(rows: readonly R[], order: readonly number[] | undefined): readonly R[] {
  if (!order) return rows;
  if (order.length !== rows.length || new Set(order).size !== rows.length || order.some((i) => !(i in rows)))
    throw new RangeError(`an order of ${rows.length} trajectories must name each of them once`);
  return order.map((i) => rows[i]);
}

/** @throws RangeError when they do not go into parts of one size */
function cut<R>(rows: readonly R[], parts: number): R[][] {
  if (rows.length === 0) throw new RangeError('there are no trajectories');
  if (rows.length % parts > 0)
    throw new RangeError(`${rows.length} trajectories cannot be cut into ${parts} minibatches`);
  const size = rows.length / parts;
  return Array.from({ length: parts }, (_, i) => rows.slice(i * size, (i + 1) * size));
}

function checkShape(chunk: readonly Row[], { shape }: tf.Tensor): void {
  const expected = [chunk.length, longestOf(chunk)];
  if (shape.join() !== expected.join())
    throw new RangeError(`replay gave [${shape.join(', ')}] for transitions of [${expected.join(', ')}]`);
}

async function rowsRead(chunk: readonly Row[], compute: () => tf.Tensor2D): Promise<Float32Array[]> {
  const tensor = tf.tidy(compute);
  try {
    checkShape(chunk, tensor);
    return cutRows(chunk, await tensor.data<'float32'>());
  } finally {
    tensor.dispose();
  }
}

function cutRows(chunk: readonly Row[], values: Float32Array): Float32Array[] {
  const longest = longestOf(chunk);
  return chunk.map(({ mask }, i) => values.slice(i * longest, i * longest + mask.length));
}
