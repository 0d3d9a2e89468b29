/** The report of an evaluation: `report.json`, and the tables for people beside it. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Protocol } from '../../data/protocol';
import { meanColumn, meanOfMeans } from '../../data/columns';
import type { Rng } from '../../engine';
import { projectVersion } from '../../io/version';
import { writeFileAtomic } from '../../io/write-file';
import { besidePaper, cellsLatex, cellsMarkdown, paperLatex, paperMarkdown, type PaperTableRows } from './present';
import { readScored } from './run-files';
import type { BenchmarkResult } from './run-suite';
import type { LeftOutPart, PaperColumns, Suite } from './suite';
import { benchmarkCells, type Cell, type ComparedCell, comparedCells } from './table';

export interface BenchmarkReport {
  readonly name: string;
  readonly judges: readonly string[];
  /** Items with a score, and items that were to be asked. */
  readonly items: number;
  readonly total: number;
  /** Items of the set that cannot be read, the first reasons. */
  readonly errors: number;
  readonly firstErrors: readonly string[];
  /** Items that a judge did not answer about. */
  readonly unscored: number;
  readonly firstUnscored: readonly string[];
  /** Items that the model could not be asked, or nobody can score: they count in no number. */
  readonly unasked: number;
  /** Reasons, the commonest first, and how many items each has. */
  readonly whyUnasked: readonly { readonly reason: string; readonly items: number }[];
  /** The paper's columns that are not measured. */
  readonly missing: readonly string[];
  /** Scores whose plain mean is the column `overall`, where there is one. */
  readonly overall?: readonly string[];
}

export interface SuiteReport {
  readonly suite: string;
  /** What was evaluated and how, with the command and the seed; the judge's usage and cost. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly benchmarks: readonly BenchmarkReport[];
  /** Benchmarks of the suite that were not evaluated, and what they would take. */
  readonly leftOut: readonly LeftOutPart[];
  readonly cells: readonly Cell[];
}

const FIRST = 3;

export function reportOf(
  suite: Pick<Suite, 'name'>,
  results: readonly BenchmarkResult[],
  settings: Record<string, unknown>,
  rng: Rng,
  leftOut: readonly LeftOutPart[] = [],
): SuiteReport {
  return {
    suite: suite.name,
    settings,
    benchmarks: results.map(({ benchmark, items, total, errors, unscored, unasked }) => ({
      name: benchmark.name,
      judges: [...new Set(benchmark.judges)],
      items: items.length,
      total,
      errors: errors.length,
      firstErrors: errors.slice(0, FIRST).map(({ message }) => message),
      unscored: unscored.length,
      firstUnscored: unscored.slice(0, FIRST).map(({ id, reason }) => `${id}: ${reason}`),
      unasked: unasked.length,
      whyUnasked: commonest(unasked.map(({ reason }) => reason)),
      missing: benchmark.missing ?? [],
      overall: benchmark.columns.find(({ name }) => name === 'overall')?.over,
    })),
    leftOut,
    cells: results.flatMap(({ benchmark, items }) => benchmarkCells(benchmark, items, rng.split('intervals'))),
  };
}

function commonest(reasons: readonly string[]): { reason: string; items: number }[] {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([reason, items]) => ({ reason, items }));
}

/** Columns, who scored, what is missing, and the paper's rows with ours. */
export function reportMarkdown(suite: Suite, report: SuiteReport): string {
  const { benchmarks, cells, settings, leftOut } = report;
  const notes = [
    ...benchmarks.flatMap((one) => [
      `- ${one.name}: ${itemsOf(one)}, scored by ${one.judges.join(', ')}`,
      ...notesOf(one).map((note) => `  - ${note}`),
    ]),
    ...leftOut.map(({ name, reason }) => `- ${name}: left out, ${reason}`),
    ...(typeof settings.onlySubjects === 'string'
      ? [`- of these subjects alone: ${settings.onlySubjects} (\`--only-subjects\`)`]
      : []),
    ...(settings.limit ? [`- of each benchmark the first ${String(Number(settings.limit))} items (\`--limit\`)`] : []),
  ];
  const paper = suite.paper
    ? [paperMarkdown(besideOf(suite.paper, report)), ...judgeNotes(suite.paper, report), '']
    : [];
  return [
    `${suite.name}: ${String(settings.model)}`,
    '',
    cells.length > 0 ? cellsMarkdown(cells) : 'No item has a score.\n',
    ...notes,
    '',
    ...paper,
  ].join('\n');
}

const itemsOf = ({ items, total }: BenchmarkReport): string =>
  items === total ? `${items} items` : `**${items} of ${total} items**`;

function notesOf(one: BenchmarkReport): string[] {
  const { errors, firstErrors, unscored, firstUnscored, unasked, whyUnasked, missing } = one;
  const more = whyUnasked.length > FIRST ? `; and ${whyUnasked.length - FIRST} other reasons, all in report.json` : '';
  const why = whyUnasked.slice(0, FIRST).map(({ reason, items: of }) => `${reason} (${of})`);
  return [
    ...(errors > 0 ? [`${errors} cannot be read: ${firstErrors.join('; ')}`] : []),
    ...(unscored > 0
      ? [`${unscored} were not scored, and are tried again with --resume: ${firstUnscored.join('; ')}`]
      : []),
    ...(unasked > 0 ? [`${unasked} were not asked and count in no number: ${why.join('; ')}${more}`] : []),
    ...missing.map((what) => `not measured: ${what}`),
  ];
}

/** Benchmarks that somebody else scores than in the paper. */
const otherJudges = ({ judges = {} }: PaperColumns, { benchmarks }: SuiteReport) =>
  benchmarks.flatMap(({ name, judges: ours }) =>
    judges[name] === undefined || ours.some((judge) => judge.toLowerCase().startsWith(judges[name]))
      ? []
      : [{ name, ours: ours.join(', '), paper: judges[name] }],
  );

function besideOf(paper: PaperColumns, report: SuiteReport): PaperTableRows {
  const others = otherJudges(paper, report).map(({ name }) => name);
  const cells = report.cells.filter(({ benchmark }) => !others.includes(benchmark));
  return besidePaper(cells, paper, rowName(report));
}

const judgeNotes = (paper: PaperColumns, report: SuiteReport): string[] =>
  otherJudges(paper, report).map(
    ({ name, ours, paper: theirs }) =>
      `${name} is scored by ${ours}, in the paper by ${theirs}: it stands above alone.`,
  );

/** Our row's name; that it is of a part of the items, or of a mini model, stands in it: the paper's rows are of all, and of large ones. */
function rowName({ benchmarks, settings }: SuiteReport): string {
  const partial = benchmarks.some(({ items, total }) => items < total);
  const isPart = partial || settings.onlySubjects !== undefined;
  const { style } = (settings.protocol ?? {}) as Protocol;
  const notes = [
    ...(isPart ? ['a part of the items'] : settings.limit ? ['the first items'] : []),
    ...(style === 'spaced' ? ["a model of the mini world's words: another scale"] : []),
  ];
  return `${String(settings.model)}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
}

/** Writes `report.json`, `table.md` and `table.tex`. */
export async function writeReport(folder: string, suite: Suite, report: SuiteReport): Promise<void> {
  await writeFileAtomic(
    path.join(folder, 'report.json'),
    `${JSON.stringify({ ...report, version: projectVersion() }, null, 2)}\n`,
  );
  await writeFileAtomic(path.join(folder, 'table.md'), reportMarkdown(suite, report));
  const paper = suite.paper ? paperLatex(besideOf(suite.paper, report)) : '';
  await writeFileAtomic(path.join(folder, 'table.tex'), cellsLatex(report.cells) + paper);
}

/**
 * Two evaluations of one suite on the items that both have, score by score, and `overall` where it is a mean of means;
 * not the rules of columns that need more. @throws Error for a folder without scored items, RangeError when no item is shared
 */
export async function compareFolders(a: string, b: string, rng: Rng): Promise<ComparedCell[]> {
  const [before, after] = await Promise.all([readScored(a), readScored(b)]);
  const overall = await overallsOf(a);
  return [...before].flatMap(([name, items]) => {
    const other = after.get(name);
    if (!other) return [];
    const scores = [...new Set([...items, ...other].flatMap((item) => Object.keys(item.scores)))];
    const over = overall.get(name);
    const columns = [
      ...scores.map((score) => meanColumn(score)),
      ...(over && !scores.includes('overall') ? [meanOfMeans('overall', over)] : []),
    ];
    return comparedCells({ name, columns }, items, other, rng);
  });
}

/** What `overall` is made of, by benchmark; nothing for an evaluation that has no report yet. */
async function overallsOf(folder: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const file = path.join(folder, 'report.json');
  if (!existsSync(file)) return new Map();
  const { benchmarks } = JSON.parse(await readFile(file, 'utf8')) as SuiteReport;
  return new Map(benchmarks.flatMap(({ name, overall }) => (overall ? [[name, overall] as const] : [])));
}
