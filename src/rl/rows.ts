/** From trajectories to the rows of forward passes: what is scored, by which advantage, with which weight in the loss. */
import { tf } from '../engine';
import { replayWidth, type Segment, type SegmentName, type Trajectory, type Transition } from '../models/unified';
import type { PolicyBatch } from './losses';
import { aggregationOf, type TrainStepOptions } from './options';

/** One number a trajectory, or one for each of its kinds of segments (CoRL's separate advantages). */
export type Advantages = readonly number[] | Readonly<Record<SegmentName, readonly number[]>>;

/** One transition, ready to be replayed. */
export interface Row<T extends Transition = Transition> {
  readonly transition: T;
  /** 1 at scored tokens. */
  readonly mask: Uint8Array;
  readonly tokens: number;
  readonly advantage: number;
  /** Index of its trajectory, of the segment therein and of the transition therein. */
  readonly trajectory: number;
  readonly segment: number;
  readonly index: number;
  /** Scored tokens of its whole segment, and whether this row is all of it. */
  readonly segmentTokens: number;
  readonly wholeSegment: boolean;
  /** Held for all updates of the rollout, `[tokens]` each. `old` undefined: the policy's own at the only update. */
  old?: Float32Array;
  reference?: Float32Array;
  entropies?: Float32Array;
}

/** A row with the weight of each of its scored tokens in the loss. */
export interface WeightedRow<T extends Transition = Transition> extends Row<T> {
  readonly weight: number;
}

const isCut = ({ segments }: Trajectory): boolean =>
  segments.some((segment) => segment.name === 'understanding' && !segment.finished);

/**
 * The rows of trajectories, trajectory after trajectory.
 * @throws RangeError for advantages of another number, or that are not finite
 */
export function rowsOf<T extends Transition>(
  trajectories: readonly Trajectory<T>[],
  advantages: Advantages,
  { maskTruncatedCompletions }: Pick<TrainStepOptions, 'maskTruncatedCompletions'>,
): Row<T>[][] {
  checkAdvantages(trajectories.length, advantages);
  return trajectories.map((trajectory, t) => {
    const leftOut = maskTruncatedCompletions && isCut(trajectory);
    return trajectory.segments.flatMap((segment, s) => {
      const rows = segment.transitions.map((transition, index) => {
        const mask = leftOut ? new Uint8Array(transition.actionMask.length) : transition.actionMask;
        return { transition, mask, tokens: countOf(mask), index };
      });
      const common = {
        advantage: advantageOf(advantages, segment.name, t),
        trajectory: t,
        segment: s,
        segmentTokens: rows.reduce((sum, { tokens }) => sum + tokens, 0),
        wholeSegment: rows.length === 1,
      };
      return rows.map((row) => ({ ...row, ...common }));
    });
  });
}

function checkAdvantages(count: number, advantages: Advantages): void {
  const lists = 'understanding' in advantages ? Object.entries(advantages) : [['', advantages] as const];
  for (const [name, list] of lists) {
    const what = name === '' ? 'advantages' : `advantages of ${name}`;
    if (list.length !== count) throw new RangeError(`there are ${list.length} ${what} for ${count} trajectories`);
    const at = list.findIndex((a) => !Number.isFinite(a));
    if (at >= 0) throw new RangeError(`${what}: number ${at} is ${list[at]}; it must be finite`);
  }
}

function advantageOf(advantages: Advantages, name: SegmentName, trajectory: number): number {
  return 'understanding' in advantages ? advantages[name][trajectory] : advantages[trajectory];
}

/**
 * Weighs the rows of one minibatch.
 * @param rows of each trajectory
 * @param share tokens of the rollout over its minibatches
 */
export function weigh<T extends Transition>(
  rows: readonly (readonly Row<T>[])[],
  share: number,
  options: TrainStepOptions,
): WeightedRow<T>[] {
  const aggregation = aggregationOf(options);
  const perTrajectory = rows.map((own) => own.reduce((sum, { tokens }) => sum + tokens, 0));
  const minibatch = perTrajectory.reduce((a, b) => a + b, 0);
  const common = { trajectories: rows.length, minibatch, share, maxLength: options.maxCompletionLength ?? NaN };
  return rows.flatMap((own, i) =>
    own
      .filter(({ tokens }) => tokens > 0)
      .map((row) => {
        const counts = { ...common, segment: row.segmentTokens, trajectory: perTrajectory[i] };
        const weight =
          (options.segmentWeights[row.transition.segment] * aggregation(counts)) / options.gradientAccumulationSteps;
        return { ...row, weight };
      }),
  );
}

/** At most `size` rows of one kind of segment. */
export function* chunksOf<R extends Row>(rows: readonly R[], size: number): Generator<R[]> {
  for (const name of ['understanding', 'generation'] as const) {
    const own = rows.filter(({ transition }) => transition.segment === name);
    for (let i = 0; i < own.length; i += size) yield own.slice(i, i + size);
  }
}

/** Numbers of rows as a tensor `[rows, width]`, 0 behind a row's end and at tokens that are not scored. */
export function table<R extends Row>(rows: readonly R[], at: (row: R, token: number) => number): tf.Tensor2D {
  const width = widthOf(rows);
  const values = new Float32Array(rows.length * width);
  for (const [r, row] of rows.entries()) {
    for (let i = 0; i < row.mask.length; i++) if (row.mask[i]) values[r * width + i] = at(row, i);
  }
  return tf.tensor2d(values, [rows.length, width]);
}

/** One number a row, `[rows, 1]`. */
export function column<R extends Row>(rows: readonly R[], of: (row: R) => number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(rows, of), [rows.length, 1]);
}

/** Columns of a chunk's tensors. */
export function widthOf(rows: readonly Row[]): number {
  return replayWidth(rows.map(({ transition }) => transition));
}

/** Where a token stands, for people. */
export function placeOf(row: Row, token: number): string {
  return `trajectory ${row.trajectory}, segment ${row.segment} (${row.transition.segment}), transition ${row.index}, position ${token}`;
}

/** Tokens that a segment decided. */
export function sampledTokens({ transitions }: Segment): number {
  return transitions.reduce((sum, { actionMask }) => sum + countOf(actionMask), 0);
}

function countOf(mask: Uint8Array): number {
  return mask.reduce((sum, m) => sum + (m ? 1 : 0), 0);
}

/** Which tokens are among the given share of highest entropy of a minibatch. */
export function highEntropy(rows: readonly Row[], share: number): (row: Row, token: number) => boolean {
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

/** @throws RangeError for an order that does not name each once */
export function ordered<R>(rows: readonly R[], order: readonly number[] | undefined): readonly R[] {
  if (!order) return rows;
  if (order.length !== rows.length || new Set(order).size !== rows.length || order.some((i) => !(i in rows)))
    throw new RangeError(`an order of ${rows.length} trajectories must name each of them once`);
  return order.map((i) => rows[i]);
}

/** @throws RangeError when they do not go into parts of one size */
export function cut<R>(rows: readonly R[], parts: number): R[][] {
  if (rows.length === 0) throw new RangeError('there are no trajectories');
  if (rows.length % parts > 0)
    throw new RangeError(`${rows.length} trajectories cannot be cut into ${parts} minibatches`);
  const size = rows.length / parts;
  return Array.from({ length: parts }, (_, i) => rows.slice(i * size, (i + 1) * size));
}

/**
 * What a forward pass gave for rows, `[rows, width]`: columns that it left out are 0.
 * @throws RangeError for another shape
 */
export function atWidth(chunk: readonly Row[], given: tf.Tensor2D): tf.Tensor2D {
  const longest = Math.max(...chunk.map(({ mask }) => mask.length));
  const width = widthOf(chunk);
  const [rows, columns] = given.shape;
  if (given.rank !== 2 || rows !== chunk.length || columns < longest || columns > width)
    throw new RangeError(`replay gave [${given.shape.join(', ')}] for transitions of [${chunk.length}, ${longest}]`);
  return columns === width
    ? given
    : tf.pad(given, [
        [0, 0],
        [0, width - columns],
      ]);
}

/** What a forward pass gives for rows, as numbers. @throws RangeError for another shape */
export async function rowsRead(chunk: readonly Row[], compute: () => tf.Tensor2D): Promise<Float32Array[]> {
  const tensor = tf.tidy(() => atWidth(chunk, compute()));
  try {
    return cutRows(chunk, await tensor.data<'float32'>());
  } finally {
    tensor.dispose();
  }
}

export function cutRows(chunk: readonly Row[], values: Float32Array): Float32Array[] {
  const width = widthOf(chunk);
  return chunk.map(({ mask }, i) => values.slice(i * width, i * width + mask.length));
}

export const sequenceOf = ({ trajectory, segment }: Row): string => `${trajectory} ${segment}`;

/**
 * The tensors of a chunk; the caller disposes them.
 * @param keeps which tokens the surrogate keeps
 * @param sequences sums of `new - old` over segments that several rows make up, by {@link sequenceOf}
 */
export function batchOf(
  chunk: readonly WeightedRow[],
  keeps: (row: Row, token: number) => boolean,
  sequences: ReadonlyMap<string, number> | undefined,
  { importanceSamplingCorrection, importanceSamplingCap, topEntropyQuantile }: TrainStepOptions,
): Omit<PolicyBatch, 'logProbs'> {
  const factor = (row: Row, t: number): number => {
    if (!keeps(row, t)) return 0;
    if (!importanceSamplingCorrection || !row.old) return 1;
    return Math.min(Math.exp(row.old[t] - row.transition.logProbs[t]), importanceSamplingCap);
  };
  const isWeighed = importanceSamplingCorrection || topEntropyQuantile < 1;
  return {
    mask: table(chunk, () => 1),
    weights: table(chunk, ({ weight }) => weight),
    advantages: column(chunk, ({ advantage }) => advantage),
    oldLogProbs: chunk[0].old && table(chunk, ({ old }, t) => (old as Float32Array)[t]),
    refLogProbs: chunk[0].reference && table(chunk, ({ reference }, t) => (reference as Float32Array)[t]),
    surrogateWeights: isWeighed ? table(chunk, factor) : undefined,
    sequence: sequences && {
      difference: column(chunk, (row) => sequences.get(sequenceOf(row)) ?? 0),
      length: column(chunk, ({ segmentTokens }) => segmentTokens),
    },
  };
}
