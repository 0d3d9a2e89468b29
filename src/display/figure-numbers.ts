/** The numbers that a chart draws, in words: what a page says beside the drawing, and what can be looked up in the data. */
import type { VegaLiteSpec } from './plot';

/** A dot with its interval, or a step of a curve with its range. */
export interface FigureNumber {
  readonly panel: string;
  /** The method, or `step 30` of a curve. */
  readonly row: string;
  readonly series: string;
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

type Values = Readonly<Record<string, unknown>>;

/** All dots of `dotChart`s and the first and last steps of `bandChart`s in a specification, in the order in which they are drawn. */
export function figureNumbers(spec: VegaLiteSpec): FigureNumber[] {
  const { data, vconcat, hconcat } = spec as {
    readonly data?: { readonly values?: readonly Values[] };
    readonly vconcat?: readonly VegaLiteSpec[];
    readonly hconcat?: readonly VegaLiteSpec[];
  };
  const own = data?.values ?? [];
  const inside = [...(vconcat ?? []), ...(hconcat ?? [])].flatMap(figureNumbers);
  return [...own.flatMap(dot), ...curveEnds(own), ...inside];
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** A panel's name may stand in two lines. */
const oneLine = (text: unknown): string => String(text).replaceAll('\n', ' ');

const interval = ({ low, high }: Values) => (isNumber(low) && isNumber(high) ? { low, high } : {});

function dot(row: Values): FigureNumber[] {
  const { panel, method, series, value } = row;
  if (typeof method !== 'string' || !isNumber(value)) return [];
  return [{ panel: oneLine(panel), row: method, series: String(series), value, ...interval(row) }];
}

function curveEnds(rows: readonly Values[]): FigureNumber[] {
  const curves = new Map<string, Values[]>();
  for (const row of rows) {
    if (!isNumber(row.mean) || !isNumber(row.step)) continue;
    const key = `${oneLine(row.panel)}\n${String(row.series)}`;
    curves.set(key, [...(curves.get(key) ?? []), row]);
  }
  return [...curves].flatMap(([key, all]) => {
    const [panel, series] = key.split('\n');
    const sorted = [...all].sort((a, b) => Number(a.step) - Number(b.step));
    return [...new Set([sorted[0], sorted[sorted.length - 1]])].map((row): FigureNumber => {
      return { panel, row: `step ${Number(row.step)}`, series, value: Number(row.mean), ...interval(row) };
    });
  });
}

/** As it is printed: four digits that say something. */
export const printedNumber = (value: number): string => String(Number(value.toPrecision(4)));

/** `CLIP-T | base | mini: 0.25 [0.2, 0.3]` */
export function numberLine({ panel, row, series, value, low, high }: FigureNumber): string {
  const range = low === undefined || high === undefined ? '' : ` [${printedNumber(low)}, ${printedNumber(high)}]`;
  return `${panel} | ${row} | ${series}: ${printedNumber(value)}${range}`;
}

/** Reads what {@link numberLine} wrote, from the text of a figure; other lines are passed over. */
export function readNumberLines(text: string): FigureNumber[] {
  return text.split('\n').flatMap((line) => {
    const found = /^(.+) \| (.+) \| (.+): (-?[\d.e+-]+)(?: \[(-?[\d.e+-]+), (-?[\d.e+-]+)\])?$/.exec(line);
    if (!found) return [];
    const [, panel, row, series, value, low, high] = found;
    const range = low === undefined ? {} : { low: Number(low), high: Number(high) };
    return [{ panel, row, series, value: Number(value), ...range }];
  });
}
