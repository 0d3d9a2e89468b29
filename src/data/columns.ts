/** Ways to make a table's column of items' scores; each is NaN when there is nothing to take a mean of. */
import type { Column, ScoredItem } from './benchmark';

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const has = (score: string) => (item: ScoredItem) => Number.isFinite(item.scores[score]);

/** Mean over the items that have a score. @param scale 100 for a percentage */
export function meanColumn(name: string, score = name, scale = 1): Column {
  const applies = has(score);
  return { name, applies, value: (items) => scale * mean(items.filter(applies).map(({ scores }) => scores[score])) };
}

/** The plain mean over scores of each one's own mean; NaN when one of them is missing, since it would be another number. */
export function meanOfMeans(name: string, scores: readonly string[]): Column {
  const columns = scores.map((score) => meanColumn(score));
  return {
    name,
    over: scores,
    applies: (item) => columns.some((column) => column.applies?.(item)),
    value: (items) => mean(columns.map((column) => column.value(items))),
  };
}

/** Mean over clusters (subjects) of each one's own mean, as DreamBooth and MM-R1 average. */
export function meanByCluster(name: string, score = name): Column {
  const applies = has(score);
  return {
    name,
    applies,
    value(items) {
      const clusters = new Map<string, number[]>();
      for (const { cluster, scores } of items.filter(applies)) {
        const own = clusters.get(cluster) ?? [];
        own.push(scores[score]);
        clusters.set(cluster, own);
      }
      return mean([...clusters.values()].map(mean));
    },
  };
}

/** A rule over the items that it applies to. NaN where there is none, and where the rule refuses them with a RangeError. */
export function ruleColumn<D>(
  name: string,
  applies: (item: ScoredItem<D>) => boolean,
  rule: (items: readonly ScoredItem<D>[]) => number | null | undefined,
): Column<D> {
  return {
    name,
    applies,
    value(items) {
      const there = items.filter(applies);
      if (there.length === 0) return NaN;
      try {
        return rule(there) ?? NaN;
      } catch (error) {
        if (error instanceof RangeError) return NaN;
        throw error;
      }
    },
  };
}
