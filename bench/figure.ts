/** The figure of a benchmark run. */
import type { VegaLiteSpec } from '../src/display/plot';
import { type BenchReport, floorOf, type Side, SIDE_TITLES, SIDES, WORK_TITLES, WORKS } from './report';

/** Of each side, in its order. */
const COLORS = ['#1b7837', '#a6dba0', '#762a83', '#9970ab', '#d9c3e0'];

/**
 * A panel a work, a group of bars a model: medians over PyTorch's, with quartiles, and a line where the products alone
 * would end at the measured ceiling. Without PyTorch: over untraced UniLab's.
 */
export function benchFigure(report: BenchReport): VegaLiteSpec {
  const base = report.pytorchSkipped ? 'eager' : 'torch';
  const x = { field: 'model', type: 'ordinal', sort: null, title: null, axis: { labelAngle: 0 } };
  const xOffset = { field: 'side', sort: SIDES.map((side) => SIDE_TITLES[side]) };
  const of = (field: string) => ({ field, type: 'quantitative' });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: `Time over that of ${SIDE_TITLES[base]}, ${report.precision}; black line: products alone at the ceiling`,
    data: { values: valuesOf(report, base) },
    facet: { field: 'work', type: 'nominal', sort: WORKS.map((work) => WORK_TITLES[work]), title: null },
    columns: 2,
    spec: {
      width: 420,
      height: 130,
      layer: [
        {
          mark: { type: 'bar', clip: true },
          encoding: {
            x,
            xOffset,
            y: { ...of('share'), title: null, scale: { domain: [0, 2], clamp: true } },
            color: {
              field: 'side',
              type: 'nominal',
              sort: xOffset.sort,
              title: null,
              scale: { domain: xOffset.sort, range: COLORS },
            },
          },
        },
        {
          mark: { type: 'rule', clip: true },
          encoding: { x, xOffset, y: of('low'), y2: { field: 'high' }, color: { value: '#333' } },
        },
        {
          mark: { type: 'tick', thickness: 2, width: 60, color: 'black', clip: true },
          encoding: { x, y: { ...of('floor'), aggregate: 'max' } },
        },
        {
          mark: { type: 'text', dy: -5, fontSize: 9, clip: true },
          encoding: { x, xOffset, y: of('share'), text: { field: 'label', type: 'nominal' } },
        },
      ],
    },
  };
}

/** A bar each: a side's median over that of the side `base`. */
function valuesOf(report: BenchReport, base: Side): Record<string, string | number | null>[] {
  return report.models.flatMap((model) =>
    model.timings.flatMap(({ work, side, median, quartiles: [low, high] }) => {
      const unit = model.timings.find((other) => other.work === work && other.side === base)?.median;
      if (unit === undefined) return [];
      const floor = floorOf(model, report, work);
      return {
        work: WORK_TITLES[work],
        model: model.model,
        side: SIDE_TITLES[side],
        share: median / unit,
        low: low / unit,
        high: high / unit,
        floor: floor === undefined ? null : floor / unit,
        label: median.toFixed(2),
      };
    }),
  );
}
