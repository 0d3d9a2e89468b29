/** From scored items to a table: every column with its interval, and two models against each other. */
import type { Benchmark, ScoredItem } from '../../data/benchmark';
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
 * Every column that has a value, with the items that it is of. Whole clusters are resampled, and the column's own rule is
 * applied to each resample; one to which it does not apply is left out. Of a single cluster its items are resampled.
 */
export function benchmarkCells(
  { name, columns }: Pick<Benchmark, 'name' | 'columns'>,
  items: readonly ScoredItem[],
  rng: Rng,
): Cell[] {
  return columns.flatMap((column) => {
    const there = items.filter((item) => column.applies?.(item) ?? true);
    const value = column.value(there);
    if (Number.isNaN(value)) return [];
    const clusters = clustersOf(there);
    const units = unitsOf(clusters);
    const own = rng.split(name).split(column.name);
    const of = copies(units);
    const values = resampled(units.length, own, (chosen) => column.value(of(chosen)));
    const counts = { items: there.length, clusters: clusters.length };
    return [{ benchmark: name, column: column.name, value, ci95: interval(values), ...counts }];
  });
}

/** Columns that both models have, on the items that both have. @throws RangeError when there is no such item */
export function comparedCells(
  { name, columns }: Pick<Benchmark, 'name' | 'columns'>,
  first: readonly ScoredItem[],
  second: readonly ScoredItem[],
  rng: Rng,
): ComparedCell[] {
  const ofB = new Map(second.map((item) => [item.id, item]));
  const shared = first.filter(({ id }) => ofB.has(id));
  if (shared.length === 0) throw new RangeError(`${name}: the two have no item in common`);
  return columns.flatMap((column) => {
    const there = shared.filter((item) => column.applies?.(item) ?? true);
    const clusters = clustersOf(there);
    const left = unitsOf(clusters);
    const right = left.map((unit) => unit.flatMap(({ id }) => ofB.get(id) ?? []));
    const [before, after] = [copies(left), copies(right)];
    const difference = (chosen: readonly number[]) => column.value(after(chosen)) - column.value(before(chosen));
    const delta = difference([...left.keys()]);
    if (Number.isNaN(delta)) return [];
    const values = resampled(left.length, rng.split(name).split(column.name), difference);
    const [a, b] = [left, right].map((items) => column.value(items.flat()));
    const counts = { items: there.length, clusters: clusters.length };
    return [{ benchmark: name, column: column.name, a, b, delta, ci95: interval(values), ...counts }];
  });
}

function clustersOf(items: readonly ScoredItem[]): ScoredItem[][] {
  const clusters = new Map<string, ScoredItem[]>();
  for (const item of items) clusters.set(item.cluster, [...(clusters.get(item.cluster) ?? []), item]);
  return [...clusters.values()];
}

/** What is resampled: clusters; the items of one that stands alone, whose interval is of its own items then. */
const unitsOf = (clusters: ScoredItem[][]): ScoredItem[][] =>
  clusters.length === 1 ? clusters[0].map((item) => [item]) : clusters;

/** The items of chosen units. One that is chosen again is another cluster: else an average by cluster would count it once. */
function copies(units: readonly (readonly ScoredItem[])[]): (chosen: readonly number[]) => ScoredItem[] {
  const made = units.map((unit) => [unit]);
  return (chosen) => {
    const times = new Map<number, number>();
    return chosen.flatMap((i) => {
      const time = times.get(i) ?? 0;
      times.set(i, time + 1);
      return (made[i][time] ??= units[i].map((item) => ({ ...item, cluster: `${item.cluster} (again ${time})` })));
    });
  };
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
