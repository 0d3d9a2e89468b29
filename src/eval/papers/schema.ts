/** The numbers that the papers print: `data/papers/NAME.json`, every table of a paper, and what its text claims of them. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { dataFolder } from '../../io/package-root';

export const PAPERS = ['mm-r1', 'unictokens-r1', 'sync-r1', 'corl'] as const;
export type PaperName = (typeof PAPERS)[number];

const names = z.array(z.string()).min(1);
/** `null`: the paper prints a dash. Text: a setting that is no number. */
const value = z.union([z.number(), z.string(), z.null()]);

const column = z.strictObject({
  name: z.string(),
  benchmark: z.string(),
  metric: z.string(),
  /** `setting`: a hyperparameter, not a score. */
  unit: z.enum(['fraction', 'percent', 'setting']),
  /** Digits after the point that the paper prints. */
  decimals: z.int().min(0),
});

const row = z.strictObject({
  name: z.string(),
  /** The heading that the paper puts the row under. */
  group: z.string().optional(),
  /** Other columns of text: `Scale`, `LLM`. */
  labels: z.record(z.string(), z.string()).optional(),
  values: z.array(value),
});

const table = z
  .strictObject({
    id: z.string(),
    caption: z.string(),
    columns: z.array(column).min(1),
    rows: z.array(row).min(1),
    /** Differences that the paper prints beside its numbers. */
    differences: z
      .strictObject({ from: z.string(), rows: z.record(z.string(), z.array(z.number().nullable())) })
      .optional(),
    /** A column that is the mean of others. */
    averages: z.strictObject({ column: z.string(), of: names }).optional(),
  })
  .refine(({ columns, rows }) => rows.every(({ values }) => values.length === columns.length), {
    error: 'a row has not as many values as the table has columns',
  });

const at = { table: z.string(), row: z.string(), columns: names, reading: z.string().optional() };
const over = names;

/** How a claim may be meant: what is computed from which cells. */
const reading = z.discriminatedUnion('kind', [
  /** Mean over the columns of (row - over) / over, in percent; several `over`: the best of them, column by column. */
  z.strictObject({ kind: z.literal('mean-relative'), ...at, over }),
  /** Relative gain of the mean over the columns (all brought to percent), in percent. */
  z.strictObject({ kind: z.literal('relative-of-means'), ...at, over }),
  /** Mean over the columns of (row - over) / row, in percent: the gain divided by the new value. */
  z.strictObject({ kind: z.literal('relative-to-row'), ...at, over }),
  /** Mean difference; columns of different units are brought to percent; times `scale`. */
  z.strictObject({ kind: z.literal('difference'), ...at, over, scale: z.number() }),
  /** The row has this place in every column, among the groups named (default: all rows), ties shared. */
  z.strictObject({
    kind: z.literal('rank'),
    ...at,
    rank: z.int().min(1),
    groups: names.optional(),
    labels: z.record(z.string(), names).optional(),
  }),
  /** The row is above all of `over` in every column, or in `share` of them. */
  z.strictObject({
    kind: z.literal('better'),
    ...at,
    over,
    overTable: z.string().optional(),
    share: z.number().gt(0).max(1).optional(),
  }),
  /** The largest relative gain over `over` is in one of the columns expected. */
  z.strictObject({ kind: z.literal('largest'), ...at, over, expected: names }),
  /** The row's mean over the columns is above every other row's. */
  z.strictObject({ kind: z.literal('highest-mean'), ...at }),
]);

const claim = z.strictObject({
  id: z.string(),
  /** Section or table. */
  where: z.string(),
  /** The paper's words. */
  quote: z.string(),
  /** The number that the paper states, with this many digits after the point; absent for claims of order. */
  stated: z.number().optional(),
  decimals: z.int().min(0).optional(),
  /** The plain reading first. */
  readings: z.array(reading).min(1),
});

const paper = z.strictObject({
  paper: z.enum(PAPERS),
  title: z.string(),
  arxiv: z.string().optional(),
  tables: z.array(table).min(1),
  claims: z.array(claim),
  /** Rows that stand in two tables and must agree in the columns that both have. */
  consistency: z.array(z.strictObject({ note: z.string(), cells: z.array(z.tuple([z.string(), z.string()])).min(2) })),
});

export type Paper = z.output<typeof paper>;
export type PaperTable = z.output<typeof table>;
export type PaperRow = z.output<typeof row>;
export type PaperColumn = z.output<typeof column>;
export type Claim = z.output<typeof claim>;
export type Reading = z.output<typeof reading>;

/**
 * A paper's numbers.
 * @param file default: the file of that name that ships
 * @throws Error naming the file, the place in it and what is wrong
 */
export function readPaper(name: PaperName, file = dataFolder('papers', `${name}.json`)): Paper {
  const parsed = paper.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new Error(`${file} is no table of a paper's numbers: ${z.prettifyError(parsed.error)}`);
}

/** @throws Error naming the tables that there are */
export function tableOf(paper: Paper, id: string): PaperTable {
  const found = paper.tables.find((one) => one.id === id);
  if (found) return found;
  throw new Error(`${paper.paper} has no table ${id}; it has ${paper.tables.map((one) => one.id).join(', ')}`);
}

/** @throws Error naming the rows that there are */
export function rowOf(table: PaperTable, name: string): PaperRow {
  const found = table.rows.find((one) => one.name === name);
  if (found) return found;
  throw new Error(`table ${table.id} has no row '${name}'; it has ${table.rows.map((one) => one.name).join(', ')}`);
}

/**
 * A cell; NaN where the paper prints a dash.
 * @throws Error naming the columns that there are
 */
export function numberAt(table: PaperTable, row: string, column: string): number {
  const i = table.columns.findIndex(({ name }) => name === column);
  if (i < 0) {
    const known = table.columns.map(({ name }) => name).join(', ');
    throw new Error(`table ${table.id} has no column '${column}'; it has ${known}`);
  }
  const found = rowOf(table, row).values[i];
  return typeof found === 'number' ? found : NaN;
}

/** A cell as the paper prints it. */
export function printed(value: PaperRow['values'][number], { unit, decimals }: PaperColumn): string {
  if (value === null) return '-';
  return typeof value === 'number' && unit !== 'setting' ? value.toFixed(decimals) : String(value);
}
