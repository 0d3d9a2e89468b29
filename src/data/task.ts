/** What a data set is to a recipe: examples drawn from seeded randomness, and an evaluation of its own. */
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { ImageOptions, TextOptions, UnifiedModel } from '../models/unified';

/** What every example has. A recipe says what more it needs; a task says what it gives. */
export interface Example<Truth = unknown> {
  readonly id: string;
  readonly prompt: string;
  readonly references: readonly Image[];
  readonly truth: Truth;
}

/** One held-out item, looked at. */
export interface EvaluatedItem {
  /** Items of one `prompt` are repetitions of each other: intervals are clustered by it. */
  readonly prompt: string;
  /** What else ties items together, such as their subject; intervals are clustered by it instead. */
  readonly cluster?: string;
  /** What it was asked about. */
  readonly reference?: Image;
  readonly text?: string;
  readonly image?: Image;
  /** Metric -> value; a metric that does not apply to this item is left out. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface Evaluation {
  /** Means over items, metric by metric. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly items: readonly EvaluatedItem[];
}

export interface EvaluationOptions {
  /** Held-out items, distinct prompts first. Default: the task's own number. */
  readonly count?: number;
  readonly text?: TextOptions;
  readonly image?: ImageOptions;
  /** Items that are answered and drawn together. Default: the task's own. */
  readonly batchSize?: number;
}

export interface Task<E extends Example = Example> {
  readonly name: string;
  /**
   * The example depends on the random numbers alone, so that a resumed run asks what the other one would have asked. A
   * set that is read from files gives a promise.
   */
  sample(rng: Rng): E | Promise<E>;
  /** The same generator before and after training makes a paired comparison. */
  evaluate(model: UnifiedModel, rng: Rng, options?: EvaluationOptions): Promise<Evaluation>;
}

/** Means over the items that have a metric. */
export function evaluationOf(items: readonly EvaluatedItem[]): Evaluation {
  const names = [...new Set(items.flatMap(({ scores }) => Object.keys(scores)))];
  const meanOf = (name: string) => {
    const values = items.flatMap(({ scores }) => (name in scores ? [scores[name]] : []));
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return { metrics: Object.fromEntries(names.map((name) => [name, meanOf(name)])), items };
}
