/** Learning-rate schedules: pure functions of the step. */

/** The learning rate at a step, counted from 0. */
export type Schedule = (step: number) => number;

export interface WarmupCosineOptions {
  /** The highest rate, reached at the end of the warm-up. */
  readonly base: number;
  /** Steps of linear warm-up; 0 for none. The first step already moves: its rate is `base / warmupSteps`. */
  readonly warmupSteps: number;
  /** From here on the rate is `floor`. */
  readonly totalSteps: number;
  /** The lowest rate. Default 0. */
  readonly floor?: number;
}

/** Linear warm-up, then half a cosine down to the floor (Loshchilov and Hutter 2017, eq. 5, without restarts). */
export function warmupCosine({ base, warmupSteps, totalSteps, floor = 0 }: WarmupCosineOptions): Schedule {
  if (!(warmupSteps >= 0 && totalSteps > warmupSteps)) {
    throw new RangeError(`warmupCosine: 0 <= warmupSteps (${warmupSteps}) < totalSteps (${totalSteps}) must hold`);
  }
  return (step) => {
    if (step < warmupSteps) return (base * (step + 1)) / warmupSteps;
    const part = Math.min(1, (step - warmupSteps) / (totalSteps - warmupSteps));
    return floor + ((base - floor) * (1 + Math.cos(Math.PI * part))) / 2;
  };
}

/** Linear warm-up, then constant. */
export function warmupConstant({ base, warmupSteps }: { base: number; warmupSteps: number }): Schedule {
  if (!(warmupSteps >= 0)) throw new RangeError(`warmupConstant: warmupSteps must be 0 or more, got ${warmupSteps}`);
  return (step) => (step < warmupSteps ? (base * (step + 1)) / warmupSteps : base);
}
