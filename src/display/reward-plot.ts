/** The plot of a training run: metrics over its steps, whole, or as far as its width can show them. */
import type { Display } from './bundle';
import { vegaLiteSchema, type VegaLiteSpec, vegaPlot } from './plot';
import { ThinnedSeries } from './thin';

/** One training step's numbers by name: `{step: 3, 'reward/mean': 0.4, ...}`. */
export type MetricRow = Readonly<Record<string, number | undefined>>;

export interface RewardPlotOptions {
  /** Which metrics to draw. Default: all whose name starts with `reward`, but spreads and counts of failures; else all. */
  readonly metrics?: readonly string[];
  /** Default `rewards`. */
  readonly title?: string;
  /** Steps in the moving average drawn over the raw points; 1 draws the raw line only. Default 5. */
  readonly smooth?: number;
  /** Size in pixels. Default 520 x 260. A plot of many more steps than `width` is drawn from as many as can be seen. */
  readonly width?: number;
  readonly height?: number;
}

const blocks = '▁▂▃▄▅▆▇█';

/** A series as a row of block characters, at most `width` of them, for terminals. Missing numbers are left out. */
export function sparkline(values: readonly number[], width = 40): string {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return '';
  const count = Math.min(width, finite.length);
  const means = Array.from({ length: count }, (_, i) => {
    const part = finite.slice(Math.floor((i * finite.length) / count), Math.floor(((i + 1) * finite.length) / count));
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const low = Math.min(...means);
  const range = Math.max(...means) - low || 1;
  return means.map((mean) => blocks[Math.min(7, Math.floor(((mean - low) / range) * 8))]).join('');
}

/** The step of a row: its own, or its place counted from 1. */
export function stepOf(row: MetricRow, i: number): number {
  return row.step ?? i + 1;
}

/** Beside rewards they are on scales of their own, and their lines lie over those of others. */
const NOT_DRAWN = /[/_](std|failed)$/;

const defaultWidth = 520;
/** More points a metric than this many for each pixel look like a band: the twins are drawn from those that make its edge. */
const drawnPerPixel = 4;

/** Steps in the moving average of a plot. */
export function smoothOf(options: RewardPlotOptions): number {
  return Math.max(1, Math.round(options.smooth ?? 5));
}

/** An empty series for each metric of a plot that is to be thinned. */
export function newSeries(options: RewardPlotOptions): ThinnedSeries {
  return new ThinnedSeries(Math.ceil((options.width ?? defaultWidth) / 2), smoothOf(options));
}

/** The vega-lite specification of {@link rewardPlot}, for those who want to change it. */
export function rewardSpec(rows: readonly MetricRow[], options: RewardPlotOptions = {}): VegaLiteSpec {
  const names = metricNames(keysOf(rows), options);
  const values = rows.flatMap((row, i) =>
    names.flatMap((metric) => {
      const value = row[metric];
      return value !== undefined && Number.isFinite(value) ? [{ step: stepOf(row, i), metric, value }] : [];
    }),
  );
  const smooth = smoothOf(options);
  const window = {
    window: [{ op: 'mean', field: 'value', as: 'average' }],
    frame: [-(smooth - 1), 0],
    groupby: ['metric'],
    sort: [{ field: 'step' }],
  };
  return linesSpec(values, options, { point: { size: 12 } }, [window]);
}

/** The same picture from thinned series. */
export function thinnedSpec(
  series: ReadonlyMap<string, ThinnedSeries>,
  names: readonly string[],
  options: RewardPlotOptions,
): VegaLiteSpec {
  const values = names.flatMap((metric) => series.get(metric)?.points.map((point) => ({ metric, ...point })) ?? []);
  const few = values.length <= (options.width ?? defaultWidth);
  return linesSpec(values, options, few ? { point: { size: 12 } } : {}, []);
}

/** Lines of `value` over `step`, one a metric, and their `average` on top. @param transform makes the averages */
function linesSpec(
  values: readonly object[],
  options: RewardPlotOptions,
  mark: object,
  transform: readonly object[],
): VegaLiteSpec {
  const smooth = smoothOf(options);
  const x = { field: 'step', type: 'quantitative', axis: { tickMinStep: 1 }, scale: { zero: false, nice: false } };
  const legend = { orient: 'bottom', columns: 3, labelLimit: 300 };
  const color = { field: 'metric', type: 'nominal', title: null, legend };
  const line = (field: string, look: object): object => ({
    mark: { type: 'line', tooltip: true, ...look },
    encoding: { x, y: { field, type: 'quantitative', title: null, scale: { zero: false } }, color },
  });
  const raw = line('value', { opacity: smooth > 1 ? 0.3 : 1, ...mark });
  const mean = { ...line('average', { strokeWidth: 2.5 }), ...(transform.length ? { transform } : {}) };
  return {
    $schema: vegaLiteSchema,
    title: options.title ?? 'rewards',
    width: options.width ?? defaultWidth,
    height: options.height ?? 260,
    data: { values },
    layer: smooth > 1 ? [raw, mean] : [raw],
  };
}

function keysOf(rows: readonly MetricRow[]): Set<string> {
  const keys = new Set<string>();
  for (const row of rows) for (const key of Object.keys(row)) keys.add(key);
  return keys;
}

/** Which metrics a plot draws, of the names that rows have. */
export function metricNames(keys: ReadonlySet<string>, options: RewardPlotOptions): readonly string[] {
  if (options.metrics) return options.metrics;
  const all = [...keys].filter((name) => name !== 'step');
  const rewards = all.filter((name) => name.startsWith('reward') && !NOT_DRAWN.test(name));
  return rewards.length ? rewards : all;
}

/** What is said of a metric: its numbers for a sparkline, the first, and the last; undefined where there is none. */
export interface SeriesText {
  readonly shape: readonly number[];
  readonly first: number;
  readonly last: number;
}

/** A plot in a terminal: a sparkline a metric with its first and last value. */
export function plotText(
  steps: number,
  names: readonly string[],
  options: RewardPlotOptions,
  of: (name: string) => SeriesText | undefined,
): string {
  const widest = Math.max(0, ...names.map((name) => name.length));
  const lines = names.map((name) => {
    const said = of(name);
    if (!said) return `${name.padEnd(widest)}  no numbers yet`;
    return `${name.padEnd(widest)}  ${sparkline(said.shape)}  ${said.first.toFixed(4)} -> ${said.last.toFixed(4)}`;
  });
  return [`${options.title ?? 'rewards'}: ${steps} step${steps === 1 ? '' : 's'}`, ...lines].join('\n');
}

/**
 * Metrics over the steps of a run: raw points, and their moving average on top. The terminal's twin is a sparkline a
 * metric with its first and last value.
 * @param rows one a step, in order; `step` is counted from 1 where it is missing; missing or infinite values leave gaps
 */
export function rewardPlot(rows: readonly MetricRow[], options: RewardPlotOptions = {}): Display {
  const names = metricNames(keysOf(rows), options);
  const text = plotText(rows.length, names, options, (name) => {
    const shape = rows.map((row) => row[name]).filter((value): value is number => Number.isFinite(value));
    return shape.length ? { shape, first: shape[0], last: shape[shape.length - 1] } : undefined;
  });
  const many = rows.length > drawnPerPixel * (options.width ?? defaultWidth);
  return vegaPlot(
    rewardSpec(rows, options),
    text,
    many ? thinnedSpec(thinned(rows, names, options), names, options) : undefined,
  );
}

function thinned(
  rows: readonly MetricRow[],
  names: readonly string[],
  options: RewardPlotOptions,
): ReadonlyMap<string, ThinnedSeries> {
  const series = new Map(names.map((name) => [name, newSeries(options)]));
  rows.forEach((row, i) => {
    for (const [name, one] of series) one.add(stepOf(row, i), row[name]);
  });
  return series;
}
