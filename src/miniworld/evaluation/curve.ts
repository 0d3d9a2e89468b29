/** Training curves for model cards: thinned, as JSON and as an image. */
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { svgOf, type VegaLiteSpec } from '../../display';
import { JsonLines } from '../../io';
import type { StepReport } from '../../sft/loop';

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

/**
 * Reads a curve that training wrote. Steps that were done twice (a run killed after its last checkpoint) count once.
 * @throws Error when the file has no records
 */
export async function readCurve(file: string): Promise<Curve> {
  const byStep = new Map<number, StepReport>();
  const all = await JsonLines.read<StepReport>(file);
  // A run of another length that was logged to the same file is another run.
  for (const record of all) if (record.steps === all[all.length - 1].steps) byStep.set(record.step, record);
  const records = [...byStep.values()].sort((a, b) => a.step - b.step);
  if (records.length === 0) throw new Error(`${file} has no steps`);
  const size = Math.max(1, Math.ceil(records.length / POINTS));
  const points: CurvePoint[] = [];
  for (let from = 0; from < records.length; from += size) {
    const part = records.slice(from, from + size);
    const mean = (of: (r: StepReport) => number) =>
      Number((part.reduce((sum, r) => sum + of(r), 0) / part.length).toPrecision(5));
    const metrics: [string, number][] = Object.keys(part[0].metrics).map((name) => [
      name,
      mean((r) => r.metrics[name]),
    ]);
    points.push({ ...Object.fromEntries(metrics), loss: mean((r) => r.loss), step: part[part.length - 1].step });
  }
  return { points, steps: records[records.length - 1].step, seconds: records.reduce((sum, r) => sum + r.seconds, 0) };
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
