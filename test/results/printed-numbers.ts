/**
 * Every number that a figure notebook may print, worked out here once more from the files in `data/`: plain means,
 * changes in percent, moving means, with no help from what the notebooks call. Intervals alone are the bootstrap's own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type FigureNumber, printedNumber } from '../../src/display';
import { papers, readResults, relativeChange, type StoredRun, variantScore } from '../../src/eval';
import { dataFolder } from '../../src/io/package-root';

const jsonOf = (...parts: string[]): unknown => JSON.parse(readFileSync(dataFolder(...parts), 'utf8'));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Numbers as they are printed; what has none, as an empty set of runs, is no number. */
class Printed {
  private readonly known = new Set<string>();

  add(...values: readonly (number | undefined)[]): void {
    for (const value of values) if (value !== undefined && Number.isFinite(value)) this.known.add(printedNumber(value));
  }

  /** A number and its interval, which are looked for together. */
  addRange(value: number, interval: readonly number[] = []): void {
    this.add(value);
    this.known.add([value, ...interval].map(printedNumber).join());
  }

  has = ({ value, low, high }: FigureNumber): boolean =>
    this.known.has([value, low, high].flatMap((one) => (one === undefined ? [] : printedNumber(one))).join());
}

type Scores = ReadonlyMap<string, readonly number[]>;

/** `VARIANT when` and metric -> score of every item, seed after seed. */
function scoresOf(runs: readonly StoredRun[]): ReadonlyMap<string, Scores> {
  const all = new Map<string, Map<string, number[]>>();
  for (const { result, items } of runs)
    for (const when of ['before', 'after'] as const)
      for (const [metric, values] of Object.entries(items[when])) {
        const key = `${result.variant} ${when}`;
        const own = all.get(key) ?? new Map<string, number[]>();
        own.set(metric, [...(own.get(metric) ?? []), ...values.map((value) => value ?? NaN)]);
        all.set(key, own);
      }
  return all;
}

/** Scores and changes of a method's runs, of all of them or of some seeds. */
function ofRuns(method: StoredRun['result']['method'], seeds?: readonly number[]): Printed {
  const printed = new Printed();
  const runs = readResults().filter(({ result }) => result.method === method && (seeds?.includes(result.seed) ?? true));
  const scores = scoresOf(runs);
  const variants = [...new Set(runs.map(({ result }) => result.variant))];
  const names = [...new Set(runs.flatMap(({ items }) => Object.keys(items.after)))];
  for (const variant of variants)
    for (const metric of names) {
      for (const when of ['before', 'after'] as const) {
        const values =
          scores
            .get(`${variant} ${when}`)
            ?.get(metric)
            ?.filter((value) => !Number.isNaN(value)) ?? [];
        printed.addRange(mean(values), variantScore(runs, { method, variant, metric, when })?.ci95);
      }
      for (const against of ['before', ...variants]) {
        const base = scores.get(against === 'before' ? `${variant} before` : `${against} after`)?.get(metric) ?? [];
        const own = scores.get(`${variant} after`)?.get(metric) ?? [];
        const both = own.flatMap((after, i) => (Number.isNaN(after - base[i]) ? [] : [[after, base[i]]]));
        const level = mean(both.map(([, before]) => before));
        const change = (100 * (mean(both.map(([after]) => after)) - level)) / level;
        printed.addRange(change, relativeChange(runs, { method, metric, variant, against })?.ci95);
      }
    }
  return printed;
}

/** Cells of a paper's tables, and changes of each against every other of its column in percent. */
function ofPaper(name: string): Printed {
  const printed = new Printed();
  const { tables } = jsonOf('papers', `${name}.json`) as {
    tables: { columns: unknown[]; rows: { values: (number | null)[] }[] }[];
  };
  for (const { columns, rows } of tables)
    for (const c of columns.keys()) {
      const cells = rows.flatMap(({ values }) => values[c] ?? []);
      for (const cell of cells) printed.add(cell, ...cells.map((base) => (100 * (cell - base)) / base));
    }
  return printed;
}

/** First and last steps of moving means of five steps: mean, least and largest over seeds. */
function ofCurves(): Printed {
  const printed = new Printed();
  const folder = dataFolder('results', 'curves');
  const lines = (file: string) => readFileSync(path.join(folder, file), 'utf8').trim().split('\n');
  const variants = new Map<string, Record<string, number>[][]>();
  for (const file of readdirSync(folder)) {
    const variant = file.replace(/-\d+\.jsonl$/, '');
    const curve = lines(file).map((line) => JSON.parse(line) as Record<string, number>);
    variants.set(variant, [...(variants.get(variant) ?? []), curve]);
  }
  for (const curves of variants.values()) {
    const last = Math.max(...curves.map((curve) => curve.length));
    for (const metric of Object.keys(curves[0][0]))
      for (const [smooth, end] of [1, 5].flatMap((width) => [1, last].map((to) => [width, to] as const))) {
        const there = curves.filter((curve) => curve.length >= end);
        const values = there.map((curve) =>
          mean(curve.slice(Math.max(0, end - smooth), end).map((line) => line[metric])),
        );
        printed.addRange(mean(values), [Math.min(...values), Math.max(...values)]);
      }
  }
  return printed;
}

function ofBench(): Printed {
  const printed = new Printed();
  const { models } = jsonOf('results', 'bench.json') as {
    models: { timings: { median: number; quartiles: number[] }[] }[];
  };
  for (const { timings } of models) for (const { median, quartiles } of timings) printed.addRange(median, quartiles);
  return printed;
}

/** What the papers state, and what follows from their tables. */
function ofClaims(): Printed {
  const printed = new Printed();
  for (const name of papers.PAPERS) {
    const paper = papers.readPaper(name);
    for (const claim of paper.claims)
      printed.add(claim.stated, ...papers.checkClaim(paper, claim).readings.map(({ value }) => value));
  }
  // GenEval is the mean over six tags, of which CoRL prints four: the first four columns, the fifth is the mean.
  const { tables } = jsonOf('papers', 'corl.json') as { tables: { rows: { values: (number | null)[] }[] }[] };
  for (const { values } of tables[0].rows) {
    const [overall, ...tags] = [values[4], ...values.slice(0, 4)].map((value) => value ?? NaN);
    printed.add(6 * overall - tags.reduce((sum, value) => sum + value, 0));
  }
  return printed;
}

/** See scripts/results/runs.ts. */
const BASELINE_SEEDS = [1, 2];

const METHODS = { 'unictokens-r1': 'sync-grpo', 'sync-r1': 'sync-grpo', corl: 'corl', 'mm-r1': 'mm-r1' } as const;

/** Numbers of a notebook that stand in no file of `data/`. Simulated ones are of no run. */
export function untraced(notebook: string, numbers: readonly FigureNumber[]): FigureNumber[] {
  const isSimulated = ({ panel, series }: FigureNumber) =>
    ['threshold', 'pass rate'].includes(panel) && ['damped_subtract', 'literal', 'released'].includes(series);
  const places = placesOf(notebook);
  return numbers.filter((one) => !isSimulated(one) && !places.some((place) => place.has(one)));
}

const kept = new Map<string, readonly Printed[]>();

function placesOf(notebook: string): readonly Printed[] {
  const found = kept.get(notebook) ?? made(notebook);
  kept.set(notebook, found);
  return found;
}

function made(notebook: string): readonly Printed[] {
  if (notebook === 'claims') return [ofClaims()];
  if (notebook === 'training') return [ofCurves(), ofBench()];
  const method = METHODS[notebook as keyof typeof METHODS];
  // Levels of variants are compared on the seeds that baselines have, too.
  return [ofPaper(notebook), ofRuns(method), ofRuns(method, BASELINE_SEEDS), ofCurves()];
}
