/** What a data set is to a recipe: examples drawn from seeded randomness, and an evaluation of its own. */
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { UnifiedModel } from '../models/unified';

/** What every example has. A recipe says what more it needs; a task says what it gives. */
export interface Example<Truth = unknown> {
  readonly id: string;
  readonly prompt: string;
  readonly references: readonly Image[];
  readonly truth: Truth;
}

export interface Evaluation {
  readonly metrics: Readonly<Record<string, number>>;
}

export interface Task<E extends Example = Example> {
  readonly name: string;
  /** The example depends on the random numbers alone, so that a resumed run asks what the other one would have asked. */
  sample(rng: Rng): E;
  evaluate(model: UnifiedModel, rng: Rng): Promise<Evaluation>;
}
