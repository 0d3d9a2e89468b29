/**
 * What a run of `make results` leaves, and how runs of several seeds are pooled. `NAME.json` is for people and tables;
 * `items/NAME.json` has the scores of every held-out item, so that a run and its control are compared pair by pair.
 */
import * as z from 'zod';
import type { EvaluatedItem, Evaluation } from '../data/task';
import { Rng } from '../engine';
import { compareEvaluations } from './compare';
import { type Interval, type PairedDifference, pairedClusteredBootstrap } from './intervals';

export const METHODS = ['sync-grpo', 'corl', 'mm-r1'] as const;
export type Method = (typeof METHODS)[number];

const interval = z.tuple([z.number(), z.number()]);

/** `data/results/NAME.json`. */
export const runResultSchema = z.strictObject({
  method: z.enum(METHODS),
  /** `full`, `control`, or an ablation's name. */
  variant: z.string(),
  backbone: z.string(),
  seed: z.int(),
  command: z.string(),
  version: z.string(),
  /** All that the run was told, resolved. */
  options: z.record(z.string(), z.unknown()),
  /** Of training and evaluation together, on the machine that it ran on. */
  minutes: z.number(),
  metrics: z.record(
    z.string(),
    z.strictObject({
      /** Distinct ones: what is resampled. */
      prompts: z.int(),
      draws: z.int(),
      before: z.number(),
      after: z.number(),
      delta: z.number(),
      ci95: interval,
    }),
  ),
});
export type RunResult = z.infer<typeof runResultSchema>;
type Compared = RunResult['metrics'];

/** `data/results/items/NAME.json`: columns as long as `clusters`; null where a metric does not apply. */
export const runItemsSchema = z.strictObject({
  /** What ties draws together: a prompt, with its subject where prompts of several subjects are pooled. */
  clusters: z.array(z.string()),
  before: z.record(z.string(), z.array(z.number().nullable())),
  after: z.record(z.string(), z.array(z.number().nullable())),
});
export type RunItems = z.infer<typeof runItemsSchema>;

/**
 * The metrics and the items of a finished run.
 * @param scope stands before every cluster: what prompts are of, when they are pooled with those of others
 */
export function runMetrics(
  before: Evaluation,
  after: Evaluation,
  seed: number,
  scope = '',
): { metrics: Compared; items: RunItems } {
  const compared = compareEvaluations(before, after, seed);
  const metrics = Object.entries(compared).map(([name, { clusters, n, before, after, delta, ci95 }]) => [
    name,
    { prompts: clusters, draws: n, before: short(before), after: short(after), delta: short(delta), ci95: ends(ci95) },
  ]);
  const clusters = before.items.map(({ prompt, cluster = prompt }) => `${scope}${cluster}`);
  const columns = (items: readonly EvaluatedItem[]) =>
    Object.fromEntries(
      Object.keys(compared).map((name) => [
        name,
        items.map(({ scores }) => (name in scores ? short(scores[name]) : null)),
      ]),
    );
  return {
    metrics: Object.fromEntries(metrics) as Compared,
    items: { clusters, before: columns(before.items), after: columns(after.items) },
  };
}

const short = (value: number) => Number(value.toPrecision(4));
const ends = ([low, high]: Interval): [number, number] => [short(low), short(high)];

/** A finished run, read back. */
export interface FinishedRun {
  readonly result: RunResult;
  readonly items: RunItems;
}

/** What one variant gained over another, pooled over seeds. */
export interface Pooled {
  /** Seeds of which both are there. */
  readonly seeds: number;
  /** Distinct prompts over all seeds. */
  readonly prompts: number;
  /** Mean gain, after - before. */
  readonly delta: number;
  /** The same of the control of equal time. */
  readonly deltaControl: number;
  /** Of `delta - deltaControl`: paired bootstrap, clustered by prompt. */
  readonly ci95: Interval;
  readonly perSeed: readonly { readonly seed: number; readonly delta: number; readonly deltaControl: number }[];
}

export type PooledMetrics = Readonly<Record<string, Pooled>>;

/** What an ablation ends with beside the full method: what it begins with may be another model. */
export interface PooledAblation {
  readonly seeds: number;
  readonly prompts: number;
  readonly after: number;
  readonly afterFull: number;
  /** Of `after - afterFull`: paired bootstrap, clustered by prompt. */
  readonly ci95: Interval;
}

/** `data/results/summary.json`. */
export type Summary = Readonly<
  Record<
    string,
    {
      /** Full minus control, of the metrics that the method is judged by. */
      readonly headline: PooledMetrics;
      /** Full minus control, of all others. */
      readonly others: PooledMetrics;
      readonly ablations: Readonly<Record<string, Readonly<Record<string, PooledAblation>>>>;
      /** The command of each run that is pooled here, with the version of the project that ran it. */
      readonly runs: Readonly<Record<string, string>>;
    }
  >
>;

/** Pools all runs that are there. @param headlines the metrics that a method is judged by */
export function summarize(
  runs: readonly FinishedRun[],
  headlines: Readonly<Record<Method, readonly string[]>>,
): Summary {
  const summaries = METHODS.flatMap((method) => {
    const own = runs.filter(({ result }) => result.method === method);
    if (own.length === 0) return [];
    const of = (variant: string) => own.filter(({ result }) => result.variant === variant);
    const judged = (name: string) => headlines[method].includes(name);
    const gained = poolGains(of('full'), of('control'));
    const variants = [...new Set(own.map(({ result }) => result.variant))];
    const ablations = variants.filter((variant) => variant !== 'full' && variant !== 'control').sort();
    const compared = ablations.map(
      (variant) => [variant, pick(poolAblation(of(variant), of('full')), judged)] as const,
    );
    const found = {
      headline: pick(gained, judged),
      others: pick(gained, (name) => !judged(name)),
      ablations: Object.fromEntries(compared),
      runs: Object.fromEntries(own.map(({ result: { command, version } }) => [command, version])),
    };
    return [[method, found] as const];
  });
  return Object.fromEntries(summaries);
}

const pick = <V>(pooled: Readonly<Record<string, V>>, keep: (name: string) => boolean): Record<string, V> =>
  Object.fromEntries(Object.entries(pooled).filter(([name]) => keep(name)));

/**
 * What full runs gain beside what controls of the same backbone and seed gain, item by item. Items of one prompt are one
 * cluster, also those of several seeds.
 * @throws RangeError when two runs that belong together were asked different prompts
 */
export function poolGains(runs: readonly FinishedRun[], controls: readonly FinishedRun[]): PooledMetrics {
  const gains = ({ before, after }: RunItems, name: string) =>
    after[name].map((value, i) => (value ?? NaN) - (before[name][i] ?? NaN));
  return pooled(runs, controls, gains, (columns, { clusters, before, after, ci95 }) => ({
    seeds: columns.length,
    prompts: clusters,
    delta: short(after),
    deltaControl: short(before),
    ci95: ends(ci95),
    perSeed: columns
      .map(({ seed, own, other }) => ({ seed, delta: short(mean(own)), deltaControl: short(mean(other)) }))
      .sort((a, b) => a.seed - b.seed),
  }));
}

/** What runs of an ablation end with beside what full runs of the same backbone and seed end with. @throws as {@link poolGains} */
export function poolAblation(
  runs: readonly FinishedRun[],
  full: readonly FinishedRun[],
): Readonly<Record<string, PooledAblation>> {
  const endings = ({ after }: RunItems, name: string) => after[name].map((value) => value ?? NaN);
  return pooled(runs, full, endings, (columns, { clusters, before, after, ci95 }) => ({
    seeds: columns.length,
    prompts: clusters,
    after: short(after),
    afterFull: short(before),
    ci95: ends(ci95),
  }));
}

/** One seed's numbers of a metric, item by item, of a run and of what it is compared with. */
interface Columns {
  readonly seed: number;
  readonly clusters: readonly string[];
  readonly own: readonly number[];
  readonly other: readonly number[];
}

function pooled<V>(
  runs: readonly FinishedRun[],
  others: readonly FinishedRun[],
  numbersOf: (items: RunItems, name: string) => number[],
  toldAs: (columns: readonly Columns[], difference: PairedDifference) => V,
): Record<string, V> {
  const pairs = runs.flatMap((run) => {
    const { backbone, seed } = run.result;
    const other = others.find(({ result }) => result.backbone === backbone && result.seed === seed);
    return other ? [{ seed, run: checkedItems(run, other), other: other.items }] : [];
  });
  const names = [...new Set(pairs.flatMap(({ run }) => Object.keys(run.after)))];
  const told = names.map((name) => {
    const columns = pairs
      .filter(({ run, other }) => name in run.after && name in other.after)
      .map(({ seed, run, other }): Columns => ({
        seed,
        clusters: run.clusters,
        own: numbersOf(run, name),
        other: numbersOf(other, name),
      }));
    const all = (key: 'own' | 'other') => columns.flatMap((column) => column[key]);
    const clusters = columns.flatMap((column) => column.clusters);
    const rng = new Rng(0).split(name);
    return [name, toldAs(columns, pairedClusteredBootstrap(all('other'), all('own'), clusters, { rng }))] as const;
  });
  return Object.fromEntries(told);
}

function checkedItems({ result, items }: FinishedRun, other: FinishedRun): RunItems {
  if (items.clusters.join('\n') === other.items.clusters.join('\n')) return items;
  throw new RangeError(
    `${result.method} ${result.backbone}, seed ${result.seed}: '${result.variant}' and '${other.result.variant}' were asked different prompts`,
  );
}

function mean(values: readonly number[]): number {
  const there = values.filter((value) => !Number.isNaN(value));
  return there.reduce((sum, value) => sum + value, 0) / there.length;
}
