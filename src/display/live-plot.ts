/** The reward plot that grows while a run goes on: an update costs the same after a million steps as after a hundred. */
import { Display, type Displayable, jupyterDisplay, type MimeBundle } from './bundle';
import { plainText } from './html';
import { pngOfSvg, svgOf, type VegaLiteSpec } from './plot';
import {
  metricNames,
  type MetricRow,
  newSeries,
  plotText,
  rewardPlot,
  type RewardPlotOptions,
  stepOf,
  thinnedSpec,
} from './reward-plot';
import { LiveDisplay, type LiveOptions } from './show';
import type { ThinnedSeries } from './thin';

/** A reward plot that grows: give it each step's metrics. */
export class LivePlot implements Displayable {
  readonly rows: MetricRow[] = [];
  private readonly live: LiveDisplay;
  /** What is drawn while the run goes on, by metric. */
  private readonly series = new Map<string, ThinnedSeries>();
  /** The last picture of a draft, and how many steps it shows. */
  private twin = { steps: 0, png: Promise.resolve('') };

  constructor(
    private readonly options: RewardPlotOptions & LiveOptions = {},
    rows: readonly MetricRow[] = [],
  ) {
    this.live = new LiveDisplay(undefined, options);
    for (const row of rows) this.add(row);
    this.update();
  }

  /** Adds one step. `step` is counted from 1 where the row has none. */
  push(row: MetricRow): void {
    this.add(row);
    this.update();
  }

  private add(row: MetricRow): void {
    const step = stepOf(row, this.rows.length);
    this.rows.push(row);
    for (const [name, value] of Object.entries(row)) {
      if (name === 'step') continue;
      let one = this.series.get(name);
      if (!one) this.series.set(name, (one = newSeries(this.options)));
      one.add(step, value);
    }
  }

  /** Building either view is part of the work that is left out between two updates. */
  private update(): void {
    this.live.update(this, { [jupyterDisplay]: () => this.draft()[jupyterDisplay]() });
  }

  /**
   * The plot as far as its width shows it, for viewers with vega. Its PNG twin is drawn anew when the steps have doubled: work
   * that hardly grows with them. There has to be one: JupyterLab draws what has none a second time, and a page whose plot
   * changes faster than that runs out of memory.
   */
  private draft(): Display {
    const { options, series } = this;
    const names = metricNames(new Set(series.keys()), options);
    const text = plotText(this.rows.length, names, options, (name) => {
      const one = series.get(name);
      if (one?.first === undefined || one.last === undefined) return undefined;
      return { shape: one.shape, first: one.first, last: one.last };
    });
    const spec = thinnedSpec(series, names, options);
    return new Display(plainText(text), async (): Promise<MimeBundle> => ({
      'application/vnd.vegalite.v5+json': spec,
      'image/png': await this.picture(spec),
    }));
  }

  private picture(spec: VegaLiteSpec): Promise<string> {
    const steps = this.rows.length;
    if (this.twin.steps === 0 || steps >= 2 * this.twin.steps)
      this.twin = {
        steps: Math.max(1, steps),
        png: svgOf(spec)
          .then(pngOfSvg)
          .then((png) => png.toString('base64')),
      };
    return this.twin.png;
  }

  /** Draws the finished plot: every point, and the twins. */
  done(): Promise<void> {
    return this.live.done(this);
  }

  [jupyterDisplay](): Promise<MimeBundle> {
    return rewardPlot(this.rows, this.options)[jupyterDisplay]();
  }
}

/** A live reward plot, shown at once: `const plot = livePlot({metrics: ['reward/mean']}); plot.push({step, ...metrics}); await plot.done()`. */
export function livePlot(options: RewardPlotOptions & LiveOptions = {}): LivePlot {
  return new LivePlot(options);
}
