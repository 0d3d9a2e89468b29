/** From scored items to a table: every column with its interval, and two models against each other. */
import type { Benchmark, Column, ScoredItem } from '../../data/benchmark';
import type { Rng } from '../../engine';

/** A column's number. */
export interface Cell {
  readonly benchmark: string;
  readonly column: string;
  readonly value: number;
  /** 95% percentile bootstrap over clusters. */
  readonly ci95: readonly [number, number];
  readonly items: number;
  readonly clusters: number;
}

/** Two models on the same items: `b - a`. */
export interface ComparedCell {
  readonly benchmark: string;
  readonly column: string;
  readonly a: number;
  readonly b: number;
  readonly delta: number;
  /** Of `delta`: both are asked the same, and clusters are resampled together. */
  readonly ci95: readonly [number, number];
  /** Items that both have. */
  readonly items: number;
  readonly clusters: number;
}

const RESAMPLES = 1000;

/**
 * Every column that has a value. Whole clusters are resampled, and the column's own rule is applied to each resample; a
 * resample to which it does not apply (a tag of which nothing was drawn) is left out.
 */
export function benchmarkCells(
  { name, columns }: Pick<Benchmark, 'name' | 'columns'>,
  items: readonly ScoredItem[],
  rng: Rng,
): Cell[] {
  const clusters = clustersOf(items);
  return columns.flatMap((column) => {
    const value = column.value(items);
    if (Number.isNaN(value)) return [];
    const own = rng.split(name).split(column.name);
    const values = resampled(clusters.length, own, (chosen) => column.value(chosen.flatMap((i) => clusters[i])));
    const ci95 = interval(values);
    return [{ benchmark: name, column: column.name, value, ci95, items: items.length, clusters: clusters.length }];
  });
}

/** Columns that both models have, on the items that both have. @throws RangeError when there is no such item */
export function comparedCells(
  { name, columns }: Pick<Benchmark, 'name' | 'columns'>,
  a: readonly ScoredItem[],
  b: readonly ScoredItem[],
  rng: Rng,
): ComparedCell[] {
  const ofB = new Map(b.map((item) => [item.id, item]));
  const shared = a.filter(({ id }) => ofB.has(id));
  if (shared.length === 0) throw new RangeError(`${name}: the two have no item in common`);
  const left = clustersOf(shared);
  const right = left.map((cluster) => cluster.flatMap(({ id }) => ofB.get(id) ?? []));
  const difference = (column: Column, chosen: readonly number[]) =>
    column.value(chosen.flatMap((i) => right[i])) - column.value(chosen.flatMap((i) => left[i]));
  const all = [...left.keys()];
  return columns.flatMap((column) => {
    const delta = difference(column, all);
    if (Number.isNaN(delta)) return [];
    const values = resampled(left.length, rng.split(name).split(column.name), (chosen) => difference(column, chosen));
    const [before, after] = [left, right].map((items) => column.value(items.flat()));
    const counts = { items: shared.length, clusters: left.length };
    return [{ benchmark: name, column: column.name, a: before, b: after, delta, ci95: interval(values), ...counts }];
  });
}

function clustersOf(items: readonly ScoredItem[]): ScoredItem[][] {
  const clusters = new Map<string, ScoredItem[]>();
  for (const item of items) clusters.set(item.cluster, [...(clusters.get(item.cluster) ?? []), item]);
  return [...clusters.values()];
}

/** Sorted values of so many resamples. */
function resampled(count: number, rng: Rng, value: (chosen: readonly number[]) => number): number[] {
  const values: number[] = [];
  for (let r = 0; r < RESAMPLES; r++) {
    const found = value(Array.from({ length: count }, () => rng.int(count)));
    if (!Number.isNaN(found)) values.push(found);
  }
  return values.sort((a, b) => a - b);
}

function interval(sorted: readonly number[]): readonly [number, number] {
  const at = (q: number) => {
    const place = q * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return below + (place - Math.floor(place)) * (above - below);
  };
  return [at(0.025), at(0.975)];
}
