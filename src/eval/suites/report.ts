/** The report of an evaluation: `report.json`, and the tables for people beside it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Column } from '../../data/benchmark';
import type { Rng } from '../../engine';
import { packageRoot } from '../../io/package-root';
import { writeFileAtomic } from '../../io/write-file';
import { besidePaper, cellsLatex, cellsMarkdown, paperLatex, paperMarkdown } from './present';
import { readScored } from './run-files';
import type { BenchmarkResult } from './run-suite';
import type { Suite } from './suite';
import { benchmarkCells, type Cell, type ComparedCell, comparedCells } from './table';

export interface SuiteReport {
  readonly suite: string;
  /** What was evaluated and how; with the judge's usage and cost. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly benchmarks: readonly {
    readonly name: string;
    readonly judges: readonly string[];
    readonly items: number;
    /** Items of the set that cannot be read, the first reasons. */
    readonly errors: number;
    readonly firstErrors: readonly string[];
    /** Items that a judge did not answer about. */
    readonly unscored: number;
    readonly firstUnscored: readonly string[];
    /** Items that the model could not be asked; they count as answered with nothing. */
    readonly unasked: number;
    /** The paper's columns that are not measured. */
    readonly missing: readonly string[];
  }[];
  readonly cells: readonly Cell[];
}

const FIRST = 3;

export function reportOf(
  suite: Suite,
  results: readonly BenchmarkResult[],
  settings: Record<string, unknown>,
  rng: Rng,
): SuiteReport {
  return {
    suite: suite.name,
    settings,
    benchmarks: results.map(({ benchmark, items, errors, unscored, unasked }) => ({
      name: benchmark.name,
      judges: benchmark.judges,
      items: items.length,
      errors: errors.length,
      firstErrors: errors.slice(0, FIRST).map(({ message }) => message),
      unscored: unscored.length,
      firstUnscored: unscored.slice(0, FIRST).map(({ id, reason }) => `${id}: ${reason}`),
      unasked: unasked.length,
      missing: benchmark.missing ?? [],
    })),
    cells: results.flatMap(({ benchmark, items }) => benchmarkCells(benchmark, items, rng.split('intervals'))),
  };
}

/** Columns, who scored, what is missing, and the paper's rows with ours. */
export function reportMarkdown(suite: Suite, { benchmarks, cells, settings }: SuiteReport): string {
  const notes = benchmarks.flatMap(
    ({ name, judges, items, errors, firstErrors, unscored, firstUnscored, unasked, missing }) => [
      `${name}: ${items} items, scored by ${judges.join(', ')}`,
      ...(errors > 0 ? [`  ${errors} items cannot be read: ${firstErrors.join('; ')}`] : []),
      ...(unscored > 0 ? [`  ${unscored} items were not scored: ${firstUnscored.join('; ')}`] : []),
      ...(unasked > 0 ? [`  ${unasked} items were too long for the model, and count as not answered`] : []),
      ...missing.map((what) => `  not measured: ${what}`),
    ],
  );
  const paper = suite.paper ? [paperMarkdown(besidePaper(cells, suite.paper, String(settings.model)))] : [];
  return [cellsMarkdown(cells), ...notes, '', ...paper].join('\n');
}

/** Writes `report.json`, `table.md` and `table.tex`. */
export async function writeReport(folder: string, suite: Suite, report: SuiteReport): Promise<void> {
  const { version } = JSON.parse(await readFile(path.join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  await writeFileAtomic(path.join(folder, 'report.json'), `${JSON.stringify({ ...report, version }, null, 2)}\n`);
  await writeFileAtomic(path.join(folder, 'table.md'), reportMarkdown(suite, report));
  const paper = suite.paper ? paperLatex(besidePaper(report.cells, suite.paper, String(report.settings.model))) : '';
  await writeFileAtomic(path.join(folder, 'table.tex'), cellsLatex(report.cells) + paper);
}

/**
 * Two evaluations of one suite on the items that both have, score by score: means, not the rules of columns that need
 * more than a mean. @throws Error for a folder without scored items, RangeError when no item is shared
 */
export async function compareFolders(a: string, b: string, rng: Rng): Promise<ComparedCell[]> {
  const [before, after] = await Promise.all([readScored(a), readScored(b)]);
  return [...before].flatMap(([name, items]) => {
    const other = after.get(name);
    if (!other) return [];
    const scores = [...new Set([...items, ...other].flatMap((item) => Object.keys(item.scores)))];
    const columns = scores.map((score): Column => ({
      name: score,
      value: (some) => {
        const values = some.flatMap((item) => (score in item.scores ? [item.scores[score]] : []));
        return values.reduce((sum, value) => sum + value, 0) / values.length;
      },
    }));
    return comparedCells({ name, columns }, items, other, rng);
  });
}
