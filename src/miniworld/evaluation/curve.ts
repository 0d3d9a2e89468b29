/** Training curves for model cards: thinned, as JSON and as an image. */
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { svgOf, type VegaLiteSpec } from '../../display';
import { JsonLines } from '../../io';

/** Points of a thinned curve. */
const POINTS = 120;

/** One point: means over the steps since the point before. */
export type CurvePoint = { readonly step: number } & Readonly<Record<string, number>>;

export interface Curve {
  readonly points: readonly CurvePoint[];
  readonly steps: number;
  /** Seconds spent in steps. */
  readonly seconds: number;
}

type Line = { readonly step: number; readonly loss: number } & Readonly<Record<string, number>>;

/** What a run logs of a step that is no part of its loss. */
const isBeside = (name: string) => ['grad_norm', 'learning_rate'].includes(name) || name.startsWith('time/');

/**
 * Reads the curve of a run.
 * @param file `metrics.jsonl` of the run's folder
 * @throws Error when the file has no records
 */
export async function readCurve(file: string): Promise<Curve> {
  const records = await JsonLines.read<Line>(file);
  if (records.length === 0) throw new Error(`${file} has no steps`);
  const names = Object.keys(records[0]).filter((name) => name !== 'step' && !isBeside(name));
  const size = Math.max(1, Math.ceil(records.length / POINTS));
  const points: CurvePoint[] = [];
  for (let from = 0; from < records.length; from += size) {
    const part = records.slice(from, from + size);
    const mean = (name: string) =>
      Number((part.reduce((sum, record) => sum + record[name], 0) / part.length).toPrecision(5));
    const means = Object.fromEntries(names.map((name) => [name, mean(name)]));
    points.push({ ...means, step: part[part.length - 1].step });
  }
  const seconds = records.reduce((sum, record) => sum + record['time/step'], 0);
  return { points, steps: records[records.length - 1].step, seconds };
}

/** The curve as a vega-lite specification, one panel with a line for each of the names, on a logarithmic axis. */
export function curveSpec(curve: Curve, title: string, names: readonly string[]): VegaLiteSpec {
  const values = curve.points.flatMap((point) =>
    names.flatMap((name) => (point[name] > 0 ? [{ step: point.step, part: name, loss: point[name] }] : [])),
  );
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title,
    width: 520,
    height: 260,
    data: { values },
    mark: { type: 'line', clip: true },
    encoding: {
      x: { field: 'step', type: 'quantitative' },
      y: { field: 'loss', type: 'quantitative', scale: { type: 'log' }, title: 'loss' },
      color: { field: 'part', type: 'nominal', title: null },
    },
  };
}

/** Writes `NAME.json` and `NAME.svg` into the folder. */
export async function saveCurve(
  folder: string,
  name: string,
  curve: Curve,
  title: string,
  parts: readonly string[],
): Promise<void> {
  await writeFileAtomic(path.join(folder, `${name}.json`), `${JSON.stringify(curve.points)}\n`);
  await writeFileAtomic(path.join(folder, `${name}.svg`), await svgOf(curveSpec(curve, title, parts)));
}
