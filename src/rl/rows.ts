/** From trajectories to the rows of forward passes: what is scored, by which advantage, with which weight in the loss. */
import { tf } from '../engine';
import type { Segment, SegmentName, Trajectory, Transition } from '../models/unified';
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
      const rows = (segment.transitions as readonly T[]).map((transition, index) => {
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

/** Numbers of rows as a tensor `[rows, longest]`, 0 behind a row's end and at tokens that are not scored. */
export function table<R extends Row>(rows: readonly R[], at: (row: R, token: number) => number): tf.Tensor2D {
  const longest = longestOf(rows);
  const values = new Float32Array(rows.length * longest);
  for (const [r, row] of rows.entries()) {
    for (let i = 0; i < row.mask.length; i++) if (row.mask[i]) values[r * longest + i] = at(row, i);
  }
  return tf.tensor2d(values, [rows.length, longest]);
}

/** One number a row, `[rows, 1]`. */
export function column<R extends Row>(rows: readonly R[], of: (row: R) => number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(rows, of), [rows.length, 1]);
}

export function longestOf(rows: readonly Row[]): number {
  return Math.max(...rows.map(({ mask }) => mask.length));
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
