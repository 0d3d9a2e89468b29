/** Runs of `make results`, read back, as rows of figures: scores with their intervals, curves over steps. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Rng } from '../engine';
import { dataFolder } from '../io/package-root';
import { clusteredBootstrap, type Interval } from './intervals';
import { type FinishedRun, type Method, runItemsSchema, runResultSchema } from './results';

export interface StoredRun extends FinishedRun {
  /** The file's, without its ending. */
  readonly name: string;
  /** Metrics of each step; empty when the run kept none (`curves/NAME.jsonl`). */
  readonly curve: readonly Readonly<Record<string, number>>[];
}

/**
 * Every finished run in a folder of results; other files are passed over.
 * @throws Error naming a file of a run that cannot be read
 */
export function readResults(folder = dataFolder('results')): StoredRun[] {
  const items = path.join(folder, 'items');
  if (!existsSync(items)) return [];
  return readdirSync(items)
    .filter((file) => file.endsWith('.json') && existsSync(path.join(folder, file)))
    .sort()
    .map((file) => {
      const name = path.basename(file, '.json');
      return {
        name,
        result: parsed(path.join(folder, file), (data) => runResultSchema.parse(data)),
        items: parsed(path.join(items, file), (data) => runItemsSchema.parse(data)),
        curve: readCurve(path.join(folder, 'curves', `${name}.jsonl`)),
      };
    });
}

function parsed<T>(file: string, parse: (data: unknown) => T): T {
  try {
    return parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new Error(`${file} is no result of a run: ${(error as Error).message}`, { cause: error });
  }
}

function readCurve(file: string): Record<string, number>[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, number>);
}

export interface ScoreQuery {
  readonly method: Method;
  readonly variant: string;
  readonly metric: string;
  /** Default `after`. */
  readonly when?: 'before' | 'after';
}

export interface VariantScore {
  /** Mean over items of all seeds. */
  readonly value: number;
  /** Bootstrap, clustered by prompt. */
  readonly ci95: Interval;
  readonly seeds: readonly number[];
}

/** What a variant scores, pooled over its seeds. @returns undefined when no run of it has the metric: it was not run */
export function variantScore(runs: readonly StoredRun[], query: ScoreQuery): VariantScore | undefined {
  const { method, variant, metric, when = 'after' } = query;
  const own = runs.filter(
    ({ result, items }) => result.method === method && result.variant === variant && metric in items[when],
  );
  const values = own.flatMap(({ items }) => items[when][metric].map((value) => value ?? NaN));
  if (values.every(Number.isNaN)) return undefined;
  const clusters = own.flatMap(({ items }) => items.clusters);
  const { mean, ci95 } = clusteredBootstrap(values, clusters, { rng: new Rng(0).split(metric), resamples: 2000 });
  return { value: mean, ci95, seeds: own.map(({ result }) => result.seed) };
}

export interface ChangeQuery {
  readonly method: Method;
  readonly metric: string;
  readonly variant: string;
  /** What it is compared with: another variant, or `before`, the same runs before they were trained. Default `full`. */
  readonly against?: string;
}

/**
 * How far a variant ends from another in percent of that other's score, over the seeds that both have: the form in which
 * scores of different scales compare. The interval is a paired bootstrap, clustered by prompt.
 * @returns undefined when no seed has both, or the other scores 0
 */
export function relativeChange(runs: readonly StoredRun[], query: ChangeQuery): VariantScore | undefined {
  const { method, metric, variant, against = 'full' } = query;
  const of = (name: string) =>
    runs.filter(({ result, items }) => result.method === method && result.variant === name && metric in items.after);
  const pairs = of(variant).flatMap((run) => {
    const other = against === 'before' ? run : of(against).find(({ result }) => result.seed === run.result.seed);
    if (!other) return [];
    const base = against === 'before' ? other.items.before : other.items.after;
    return [{ seed: run.result.seed, run: run.items, base: base[metric] }];
  });
  const rows = pairs.flatMap(({ run, base }) =>
    run.after[metric].flatMap((after, i) => {
      const before = base[i];
      return after === null || before === null || before === undefined ? [] : [{ after, before, at: run.clusters[i] }];
    }),
  );
  const level = rows.reduce((sum, { before }) => sum + before, 0) / rows.length;
  if (rows.length === 0 || level === 0) return undefined;
  const percent = rows.map(({ after, before }) => (100 * (after - before)) / level);
  const options = { rng: new Rng(0).split(`${variant} ${metric}`), resamples: 2000 };
  const { mean, ci95 } = clusteredBootstrap(
    percent,
    rows.map(({ at }) => at),
    options,
  );
  return { value: mean, ci95, seeds: pairs.map(({ seed }) => seed) };
}

/** A row of a chart of scores: see `dotChart`. */
export interface ScoreRow {
  readonly panel: string;
  readonly method: string;
  readonly value?: number;
  readonly low?: number;
  readonly high?: number;
  readonly series: string;
  readonly text?: string;
}

export interface RowsQuery {
  readonly method: Method;
  /** What a row is called -> variant; `before` are the full method's runs before they were trained. */
  readonly rows: Readonly<Record<string, string>>;
  /** What a panel is called -> metric; '' where no metric of ours corresponds. */
  readonly panels: Readonly<Record<string, string>>;
  readonly series: string;
}

const place = (found: VariantScore | undefined, metric: string) =>
  found
    ? { value: found.value, low: found.ci95[0], high: found.ci95[1] }
    : { text: metric === '' ? 'not measured' : 'not run' };

const crossed = ({ rows, panels }: RowsQuery) =>
  Object.entries(panels).flatMap(([panel, metric]) =>
    Object.entries(rows).map(([method, variant]) => ({ panel, metric, method, variant })),
  );

/**
 * The seeds that all of some variants have been run with, those without any run left out: levels of other seeds, which may
 * be other subjects, do not compare.
 */
export function sharedSeeds(
  runs: readonly StoredRun[],
  { method, rows }: Pick<RowsQuery, 'method' | 'rows'>,
): number[] {
  const seedsOf = (variant: string) =>
    runs.flatMap(({ result }) => (result.method === method && result.variant === variant ? [result.seed] : []));
  const variants = new Set(Object.values(rows).map((variant) => (variant === 'before' ? 'full' : variant)));
  const all = [...variants].map(seedsOf).filter((seeds) => seeds.length > 0);
  return (all[0] ?? []).filter((seed) => all.every((seeds) => seeds.includes(seed))).sort((a, b) => a - b);
}

/** Scores of our runs on the {@link sharedSeeds} of all rows, as rows of a chart; what is missing says why. */
export function scoreRows(runs: readonly StoredRun[], query: RowsQuery): ScoreRow[] {
  const seeds = sharedSeeds(runs, query);
  const compared = runs.filter(({ result }) => seeds.includes(result.seed));
  return crossed(query).map(({ panel, metric, method, variant }) => {
    const of = variant === 'before' ? ({ variant: 'full', when: 'before' } as const) : { variant };
    const found = metric === '' ? undefined : variantScore(compared, { method: query.method, metric, ...of });
    return { panel, method, series: query.series, ...place(found, metric) };
  });
}

/** Changes of our runs against another variant, in percent, as rows of a chart. */
export function changeRows(runs: readonly StoredRun[], query: RowsQuery & { readonly against?: string }): ScoreRow[] {
  const { method: name, against } = query;
  return crossed(query).map(({ panel, metric, method, variant }) => {
    const found = metric === '' ? undefined : relativeChange(runs, { method: name, metric, variant, against });
    return { panel, method, series: query.series, ...place(found, metric) };
  });
}

/** A metric of each step of each run of some variants, as rows of a chart of curves: see `bandChart`. */
export function curveRows(
  runs: readonly StoredRun[],
  query: {
    readonly method: Method;
    readonly variants: readonly string[];
    readonly metrics: Readonly<Record<string, string>>;
  },
) {
  return runs
    .filter(({ result }) => result.method === query.method && query.variants.includes(result.variant))
    .flatMap(({ result: { variant, seed }, curve }) =>
      Object.entries(query.metrics).flatMap(([panel, metric]) =>
        curve
          .filter((line) => Number.isFinite(line[metric]))
          .map((line) => ({ panel, series: variant, seed, step: line.step, value: line[metric] })),
      ),
    );
}
