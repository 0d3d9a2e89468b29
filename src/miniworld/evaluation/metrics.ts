/** Named metrics with their intervals, as `unilab eval` prints them. */
import { meanInterval } from '../../eval';
import type { Rng } from '../../engine';

export interface Metric {
  readonly value: number;
  /** 95% percentile bootstrap over examples. */
  readonly ci95: readonly [number, number];
  readonly n: number;
}

export interface EvalReport {
  readonly checkpoint: string;
  readonly seed: number;
  readonly n: number;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** How it was measured: sampler options, seconds. */
  readonly settings?: Readonly<Record<string, number | string>>;
}

/** What was counted of one example: right or wrong, a number, or null where it does not apply. */
export type Observation = boolean | number | null;

/** Collects observations by name. */
export class Tally {
  private readonly values = new Map<string, number[]>();

  add(name: string, observed: Observation): void {
    if (observed === null) return;
    const list = this.values.get(name) ?? [];
    list.push(Number(observed));
    this.values.set(name, list);
  }

  addAll(prefix: string, observed: Readonly<Record<string, Observation>>): void {
    for (const [name, value] of Object.entries(observed)) this.add(`${prefix}${name}`, value);
  }

  /** @param rng where the resamples come from; the same stream gives the same intervals */
  metrics(rng: Rng): Record<string, Metric> {
    return Object.fromEntries(
      [...this.values].map(([name, values]) => {
        const { mean, ci95, n } = meanInterval(values, { rng: rng.split(name), resamples: 2000 });
        return [name, { value: mean, ci95, n }];
      }),
    );
  }
}

/** One line a metric: name, percentage, interval, number of examples. */
export function printMetrics(metrics: Readonly<Record<string, Metric>>): void {
  const width = Math.max(...Object.keys(metrics).map((name) => name.length));
  const percent = (v: number) => `${(100 * v).toFixed(1)}%`;
  for (const [name, { value, ci95, n }] of Object.entries(metrics)) {
    console.log(
      `${name.padEnd(width)}  ${percent(value).padStart(6)}  [${percent(ci95[0])}, ${percent(ci95[1])}]  n ${n}`,
    );
  }
}
