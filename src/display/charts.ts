/** Charts of scores and of training, as vega-lite specifications whose pixels are points of a printed page. */
import type { VegaLiteSpec } from './plot';

const schema = 'https://vega.github.io/schema/vega-lite/v5.json';

/** Told apart without color, too: Okabe and Ito's palette. */
export const PALETTE = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
  '#999999',
] as const;

/** Fonts and lines for print. */
export const PRINT = {
  font: 'Arimo, Liberation Sans, Arial, Helvetica, sans-serif',
  padding: 3,
  axis: {
    labelFontSize: 7,
    titleFontSize: 7,
    titleFontWeight: 'normal',
    tickSize: 3,
    gridColor: '#e6e6e6',
    labelLimit: 130,
  },
  header: { labelFontSize: 7.5, titleFontSize: 7.5, labelPadding: 3, labelFontWeight: 'bold' },
  legend: { labelFontSize: 7, titleFontSize: 7, symbolSize: 40, labelLimit: 300, columnPadding: 8, rowPadding: 1 },
  title: { fontSize: 8.5, subtitleFontSize: 7.5, subtitlePadding: 2, offset: 6, anchor: 'start' },
  range: { category: [...PALETTE] },
  view: { stroke: '#bbb' },
  text: { fontSize: 7 },
} as const;

/** A score of a method in a panel. */
export interface DotRow {
  /** The metric. */
  readonly panel: string;
  readonly method: string;
  /** Missing: `text` is drawn in its place. */
  readonly value?: number;
  readonly low?: number;
  readonly high?: number;
  /** Decides color and shape. */
  readonly series: string;
  /** Said where there is no value. Default `not run`. */
  readonly text?: string;
  /** Drawn as an outline around the others. Default false. */
  readonly outline?: boolean;
}

export interface DotOptions {
  readonly title?: string;
  readonly subtitle?: string;
  /** Panels in a row. Default: as many as there are, at most 5. */
  readonly columns?: number;
  /** Of one panel, in points. Default 66. */
  readonly width?: number;
  /** Of one method's line. Default 9. */
  readonly step?: number;
  /** Names of series in the order of colors. */
  readonly series?: readonly string[];
  /** A line drawn across every panel, as at 0 for changes. */
  readonly rule?: number;
  /** Format of the axis, d3's. */
  readonly format?: string;
  /** Whether every panel has its own axis. Default true. */
  readonly independent?: boolean;
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** A line break in a panel's name is one in its heading. */
const twoLines = { labelExpr: "split(datum.label, '\\n')" };

const SHAPES = ['circle', 'diamond', 'square', 'triangle-up', 'triangle-down', 'cross'] as const;

/** Color and shape of each series; a legend where there are several. */
function seriesMarks(series: readonly string[]) {
  const legend = series.length > 1 ? { orient: 'bottom', title: null, direction: 'horizontal', offset: 8 } : null;
  const scaled = (range: readonly string[]) => ({
    field: 'series',
    type: 'nominal',
    scale: { domain: series, range: series.map((_, i) => range[i % range.length]) },
    legend,
  });
  return { color: scaled(PALETTE), shape: scaled(SHAPES) };
}

/** A panel's name in two lines when one is wider than the panel. */
function heading(panel: string, width: number): string {
  const middle = panel.length / 2;
  const spaces = [...panel.matchAll(/ /g)]
    .map(({ index }) => index)
    .sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  if (panel.length * 4 <= width + 8 || spaces.length === 0) return panel;
  return `${panel.slice(0, spaces[0])}\n${panel.slice(spaces[0] + 1)}`;
}

/** Intervals, dots, outlines, and texts in the place of what is missing. */
function dotLayers(x: object, y: object, color: object, shape: object, width: number): object[] {
  const there = { filter: 'isValid(datum.value)' };
  const point = { type: 'point', opacity: 1 };
  return [
    {
      transform: [there, { filter: 'isValid(datum.low)' }],
      mark: { type: 'rule', strokeWidth: 1 },
      encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color },
    },
    {
      transform: [there, { filter: '!datum.outline' }],
      mark: { ...point, filled: true, size: 26 },
      encoding: { x, y, color, shape },
    },
    {
      transform: [there, { filter: 'datum.outline' }],
      mark: { ...point, filled: false, size: 80, strokeWidth: 1 },
      encoding: { x, y, color, shape },
    },
    {
      transform: [{ filter: '!isValid(datum.value)' }],
      mark: { type: 'text', fontSize: 6, color: '#888', fontStyle: 'italic', dy: -3 },
      encoding: { x: { value: width / 2 }, y, text: { field: 'text' } },
    },
  ];
}

/** Methods below each other, metrics side by side, a dot a score, a line its interval. In the order of the rows. */
export function dotChart(rows: readonly DotRow[], options: DotOptions = {}): VegaLiteSpec {
  const { title, subtitle, width = 64, step = 9, rule, format = '~r', independent = true } = options;
  const [panels, methods] = [unique(rows.map(({ panel }) => panel)), unique(rows.map(({ method }) => method))];
  const series = options.series ?? unique(rows.map((row) => row.series));
  const headings = panels.map((panel) => heading(panel, width));
  const values = rows.map((row) => ({
    ...row,
    panel: heading(row.panel, width),
    text: row.value === undefined ? (row.text ?? 'not run') : undefined,
  }));
  const y = { field: 'method', type: 'nominal', sort: methods, title: null, axis: { grid: true, labelLimit: 220 } };
  const x = {
    field: 'value',
    type: 'quantitative',
    title: null,
    scale: { zero: false, nice: true, padding: 4 },
    axis: { tickCount: 3, format, labelOverlap: true },
  };
  const { color, shape } = seriesMarks(series);
  const lines =
    rule === undefined
      ? []
      : [{ mark: { type: 'rule', color: '#888', strokeDash: [2, 2] }, encoding: { x: { datum: rule } } }];
  return {
    $schema: schema,
    config: PRINT,
    ...(title ? { title: { text: title, ...(subtitle ? { subtitle } : {}) } } : {}),
    data: { values },
    facet: { field: 'panel', type: 'nominal', sort: headings, title: null, header: twoLines },
    columns: options.columns ?? Math.min(5, panels.length),
    bounds: 'flush',
    spacing: { row: 34, column: 14 },
    spec: {
      width,
      height: { step },
      layer: [...lines, ...dotLayers(x, y, color, shape, width)],
    },
    resolve: { scale: { x: independent ? 'independent' : 'shared' } },
  };
}

/** A value of a metric at a step of a run. */
export interface CurveRow {
  readonly panel: string;
  readonly series: string;
  readonly seed: number | string;
  readonly step: number;
  readonly value: number;
}

export interface CurveOptions {
  readonly title?: string;
  readonly subtitle?: string;
  readonly columns?: number;
  /** Of one panel. Default 140 x 90. */
  readonly width?: number;
  readonly height?: number;
  /** Steps in the moving mean. Default 1. */
  readonly smooth?: number;
  readonly xTitle?: string;
  readonly series?: readonly string[];
  /** Panel -> a line across it, as at a target. */
  readonly targets?: Readonly<Record<string, number>>;
}

/** Mean, least and largest over seeds at each step, of series smoothed by a moving mean of `smooth` steps back. */
export function bands(rows: readonly CurveRow[], smooth = 1) {
  const runs = new Map<string, CurveRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.panel, row.series, row.seed]);
    runs.set(key, [...(runs.get(key) ?? []), row]);
  }
  const points = new Map<string, { panel: string; series: string; step: number; values: number[] }>();
  for (const run of runs.values()) {
    const sorted = run.filter(({ value }) => Number.isFinite(value)).sort((a, b) => a.step - b.step);
    sorted.forEach(({ panel, series, step }, i) => {
      const window = sorted.slice(Math.max(0, i + 1 - smooth), i + 1);
      const value = window.reduce((sum, row) => sum + row.value, 0) / window.length;
      const key = JSON.stringify([panel, series, step]);
      const point = points.get(key) ?? { panel, series, step, values: [] };
      point.values.push(value);
      points.set(key, point);
    });
  }
  return [...points.values()].map(({ values, ...place }) => ({
    ...place,
    seeds: values.length,
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    low: Math.min(...values),
    high: Math.max(...values),
  }));
}

/** Curves over steps: the mean over seeds as a line, their range as a band. */
export function bandChart(rows: readonly CurveRow[], options: CurveOptions = {}): VegaLiteSpec {
  const { title, subtitle, width = 140, height = 90, smooth = 1, xTitle = 'step', targets = {} } = options;
  const panels = unique(rows.map(({ panel }) => panel));
  const series = options.series ?? unique(rows.map((row) => row.series));
  const targeted = Object.entries(targets).map(([panel, target]) => ({ panel, target }));
  const values = [...bands(rows, smooth), ...targeted];
  const range = series.map((_, i) => PALETTE[i % PALETTE.length]);
  const legend = series.length > 1 ? { orient: 'bottom', title: null, symbolOpacity: 1 } : null;
  const color = { field: 'series', type: 'nominal', scale: { domain: series, range }, legend };
  const x = { field: 'step', type: 'quantitative', title: xTitle, scale: { nice: false }, axis: { tickCount: 4 } };
  const y = { type: 'quantitative', title: null, scale: { zero: false }, axis: { tickCount: 4, format: '~r' } };
  const drawn = { filter: 'isValid(datum.mean)' };
  return {
    $schema: schema,
    config: PRINT,
    ...(title ? { title: { text: title, ...(subtitle ? { subtitle } : {}) } } : {}),
    data: { values },
    facet: { field: 'panel', type: 'nominal', sort: panels, title: null },
    columns: options.columns ?? Math.min(3, panels.length),
    bounds: 'flush',
    spacing: { row: 44, column: 30 },
    spec: {
      width,
      height,
      layer: [
        {
          transform: [drawn],
          mark: { type: 'area', opacity: 0.18 },
          encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
        },
        {
          transform: [drawn],
          mark: { type: 'line', strokeWidth: 1.2 },
          encoding: { x, y: { ...y, field: 'mean' }, color },
        },
        {
          transform: [{ filter: 'isValid(datum.target)' }],
          mark: { type: 'rule', strokeDash: [3, 2], color: '#555' },
          encoding: { y: { ...y, field: 'target' } },
        },
      ],
    },
    resolve: { scale: { x: 'independent', y: 'independent' } },
  };
}

/** Specifications below each other, as one figure. */
export function stacked(specs: readonly VegaLiteSpec[], spacing = 14): VegaLiteSpec {
  const plain = specs.map((spec) => ({ ...spec, config: undefined, $schema: undefined }));
  return {
    $schema: schema,
    config: PRINT,
    vconcat: plain,
    spacing,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
  };
}
