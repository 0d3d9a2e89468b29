/** Plots: any vega-lite specification, and the reward plot of a training run. */
import sharp from 'sharp';
import { Display, type MimeBundle } from './bundle';
import { plainText } from './html';

/** A vega-lite specification: plain data, see https://vega.github.io/vega-lite/docs/. */
export type VegaLiteSpec = Readonly<Record<string, unknown>>;

const schema = 'https://vega.github.io/schema/vega-lite/v5.json';

/** Whether a value is a vega-lite specification with its `$schema` named. */
export function isVegaLite(value: unknown): value is VegaLiteSpec {
  const address = (value as { $schema?: unknown } | null)?.$schema;
  return typeof address === 'string' && /^https?:\/\/[^ ]*\/vega-lite\//.test(address);
}

/** No fetching while rendering: a specification holds its data itself (model output must not reach the network). */
const closedLoader = {
  load: (uri: string): Promise<string> =>
    Promise.reject(new Error(`a plot's data must stand in its specification; it asks for ${uri}`)),
  sanitize: (uri: string): Promise<{ href: string }> => Promise.resolve({ href: uri.startsWith('#') ? uri : '#' }),
  http: (uri: string): Promise<string> => Promise.reject(new Error(`not fetched: ${uri}`)),
  file: (name: string): Promise<string> => Promise.reject(new Error(`not read: ${name}`)),
};

/**
 * A specification drawn as SVG, without a browser.
 * @throws Error with vega's message for a specification that it cannot draw
 */
export async function svgOf(spec: VegaLiteSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const quiet = { level: () => quiet, error: () => quiet, warn: () => quiet, info: () => quiet, debug: () => quiet };
  const compiled = vegaLite.compile(
    { background: 'white', ...spec } as unknown as Parameters<typeof vegaLite.compile>[0],
    {
      logger: quiet as unknown as NonNullable<Parameters<typeof vegaLite.compile>[1]>['logger'],
    },
  );
  const view = new vega.View(vega.parse(compiled.spec), {
    renderer: 'none',
    loader: closedLoader as unknown as ReturnType<typeof vega.loader>,
    logLevel: vega.Error,
  });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** PNG bytes of an SVG, at 1.5 times its size. */
export async function pngOfSvg(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: 108 }).png({ compressionLevel: 9 }).toBuffer();
}

function titleOf(spec: VegaLiteSpec): string {
  const { title } = spec as { title?: unknown };
  if (typeof title === 'string') return title;
  const text = (title as { text?: unknown } | undefined)?.text;
  return typeof text === 'string' ? text : '';
}

function rowsOf(spec: VegaLiteSpec): readonly Record<string, unknown>[] {
  const values = (spec as { data?: { values?: unknown } }).data?.values;
  return Array.isArray(values) ? (values as Record<string, unknown>[]) : [];
}

/**
 * A vega-lite specification as an interactive plot (`application/vnd.vegalite.v5+json`), with an SVG and a PNG twin for
 * viewers without vega.
 * @param text what a terminal shows; default: the title and how many rows of data there are
 */
export function vegaPlot(spec: VegaLiteSpec, text?: string): Display {
  const own = structuredClone(spec) as Record<string, unknown>; // the caller's data may go on growing
  const rows = rowsOf(own).length;
  const said = text ?? `${titleOf(own) || 'plot'}${rows ? ` (${rows} data points)` : ''}`;
  return new Display(plainText(said), async (): Promise<MimeBundle> => {
    const svg = await svgOf(own);
    return {
      'application/vnd.vegalite.v5+json': { ...own, $schema: schema },
      'image/svg+xml': svg,
      'image/png': (await pngOfSvg(svg)).toString('base64'),
    };
  });
}

/** One training step's numbers by name: `{step: 3, 'reward/mean': 0.4, ...}`. */
export type MetricRow = Readonly<Record<string, number | undefined>>;

export interface RewardPlotOptions {
  /** Which metrics to draw. Default: all whose name starts with `reward`, without their `/std` ones; else all. */
  readonly metrics?: readonly string[];
  /** Default `rewards`. */
  readonly title?: string;
  /** Steps in the moving average drawn over the raw points; 1 draws the raw line only. Default 5. */
  readonly smooth?: number;
  /** In pixels. Default 520 x 260. */
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

function stepOf(row: MetricRow, i: number): number {
  return row.step ?? i + 1;
}

/** The vega-lite specification of {@link rewardPlot}, for those who want to change it. */
export function rewardSpec(rows: readonly MetricRow[], options: RewardPlotOptions = {}): VegaLiteSpec {
  const names = metricNames(rows, options);
  const smooth = Math.max(1, Math.round(options.smooth ?? 5));
  const values = rows.flatMap((row, i) =>
    names.flatMap((metric) => {
      const value = row[metric];
      return value !== undefined && Number.isFinite(value) ? [{ step: stepOf(row, i), metric, value }] : [];
    }),
  );
  const x = { field: 'step', type: 'quantitative', axis: { tickMinStep: 1 }, scale: { zero: false, nice: false } };
  const color = {
    field: 'metric',
    type: 'nominal',
    title: null,
    legend: { orient: 'bottom', columns: 3, labelLimit: 300 },
  };
  const line = (field: string, mark: object): object => ({
    mark,
    encoding: { x, y: { field, type: 'quantitative', title: null, scale: { zero: false } }, color: color },
  });
  const raw = line('value', { type: 'line', opacity: smooth > 1 ? 0.3 : 1, point: { size: 12 }, tooltip: true });
  const mean = {
    ...line('average', { type: 'line', strokeWidth: 2.5, tooltip: true }),
    transform: [
      {
        window: [{ op: 'mean', field: 'value', as: 'average' }],
        frame: [-(smooth - 1), 0],
        groupby: ['metric'],
        sort: [{ field: 'step' }],
      },
    ],
  };
  return {
    $schema: schema,
    title: options.title ?? 'rewards',
    width: options.width ?? 520,
    height: options.height ?? 260,
    data: { values },
    layer: smooth > 1 ? [raw, mean] : [raw],
  };
}

function metricNames(rows: readonly MetricRow[], options: RewardPlotOptions): readonly string[] {
  if (options.metrics) return options.metrics;
  const all = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== 'step');
  const rewards = all.filter((name) => name.startsWith('reward') && !name.endsWith('/std'));
  return rewards.length ? rewards : all;
}

/**
 * Metrics over the steps of a run: raw points, and their moving average on top. The terminal's twin is a sparkline a
 * metric with its first and last value.
 * @param rows one a step, in order; `step` is counted from 1 where it is missing; missing or infinite values leave gaps
 */
export function rewardPlot(rows: readonly MetricRow[], options: RewardPlotOptions = {}): Display {
  const names = metricNames(rows, options);
  const widest = Math.max(0, ...names.map((name) => name.length));
  const lines = names.map((name) => {
    const series = rows.map((row) => row[name]).filter((value): value is number => Number.isFinite(value));
    if (series.length === 0) return `${name.padEnd(widest)}  no numbers yet`;
    return `${name.padEnd(widest)}  ${sparkline(series)}  ${series[0].toFixed(4)} -> ${(series.at(-1) as number).toFixed(4)}`;
  });
  const head = `${options.title ?? 'rewards'}: ${rows.length} step${rows.length === 1 ? '' : 's'}`;
  return vegaPlot(rewardSpec(rows, options), [head, ...lines].join('\n'));
}
