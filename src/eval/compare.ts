/** Two evaluations of the same items, before and after, metric by metric. */
import type { EvaluatedItem, Evaluation } from '../data/task';
import { Rng } from '../engine';
import { type PairedDifference, pairedClusteredBootstrap } from './intervals';

/**
 * Metric by metric: before, after, their difference with a paired interval that is clustered by prompt.
 * @throws RangeError for evaluations of different prompts
 */
export function compareEvaluations(
  before: Evaluation,
  after: Evaluation,
  seed: number,
): Record<string, PairedDifference> {
  const prompts = before.items.map(({ prompt }) => prompt);
  if (prompts.join('\n') !== after.items.map(({ prompt }) => prompt).join('\n'))
    throw new RangeError('the evaluations are of different prompts: they cannot be compared pair by pair');
  const clusters = before.items.map(({ prompt, cluster }) => cluster ?? prompt);
  const column = (items: readonly EvaluatedItem[], metric: string) => items.map(({ scores }) => scores[metric] ?? NaN);
  const names = Object.keys(before.metrics).filter((name) => before.items.some(({ scores }) => name in scores));
  const compared = names.map((name) => [
    name,
    pairedClusteredBootstrap(column(before.items, name), column(after.items, name), clusters, {
      rng: new Rng(seed).split(name),
    }),
  ]);
  return Object.fromEntries(compared) as Record<string, PairedDifference>;
}
