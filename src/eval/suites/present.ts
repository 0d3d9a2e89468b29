/** A suite's table for people: Markdown, LaTeX, a danfo.js frame, and rows beside those of the paper. */
import type { DataFrame } from 'danfojs-node';
import { readPaper, tableOf } from '../papers';
import type { PaperColumns } from './suite';
import type { Cell, ComparedCell } from './table';

/** A row of a table: a name, and numbers by column. */
export interface TableRow {
  readonly name: string;
  /** Who scored, or which paper printed it. */
  readonly source: string;
  readonly values: Readonly<Record<string, number | null>>;
}

export interface PaperTableRows {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly TableRow[];
}

const digits = (value: number): string => value.toFixed(Math.abs(value) >= 10 ? 1 : 3);
const shown = ({ value, ci95 }: Cell): string => `${digits(value)} [${digits(ci95[0])}, ${digits(ci95[1])}]`;
const nameOf = ({ benchmark, column }: { benchmark: string; column: string }): string => `${benchmark}/${column}`;

/** One line a column: value, interval, items. */
export function cellsMarkdown(cells: readonly Cell[]): string {
  const lines = cells.map((cell) => `| ${nameOf(cell)} | ${shown(cell)} | ${cell.items} | ${cell.clusters} |`);
  return ['| column | value [95%] | items | clusters |', '|---|---|---|---|', ...lines, ''].join('\n');
}

/** The same as a LaTeX table (booktabs). */
export function cellsLatex(cells: readonly Cell[]): string {
  const lines = cells.map((cell) => `${escapeLatex(nameOf(cell))} & ${shown(cell)} & ${cell.items} \\\\`);
  return [
    '\\begin{tabular}{lrr}',
    '\\toprule',
    'column & value [95\\%] & items \\\\',
    '\\midrule',
    ...lines,
    '\\bottomrule',
    '\\end{tabular}',
    '',
  ].join('\n');
}

/** Two models: one line a column. */
export function comparedMarkdown(cells: readonly ComparedCell[], [a, b]: readonly [string, string]): string {
  const lines = cells.map((cell) => {
    const [low, high] = cell.ci95.map(digits);
    return `| ${nameOf(cell)} | ${digits(cell.a)} | ${digits(cell.b)} | ${digits(cell.delta)} [${low}, ${high}] | ${cell.items} | ${cell.clusters} |`;
  });
  return [
    `| column | ${a} | ${b} | difference [95%] | items | clusters |`,
    '|---|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

/**
 * The paper's rows, and ours last, in the paper's columns. A column of ours stands there only when its judge is the
 * paper's; a stand-in's number stands nowhere in it.
 */
export function besidePaper(
  cells: readonly Cell[],
  { paper: name, table: id, columns }: PaperColumns,
  ours: string,
): PaperTableRows {
  const table = tableOf(readPaper(name), id);
  const mapped = Object.values(columns);
  const places = table.columns.map((column, i) => ({ column, i })).filter(({ column }) => mapped.includes(column.name));
  const rows = table.rows.map((row): TableRow => ({
    name: row.name,
    source: `${name}, Table ${id}`,
    values: Object.fromEntries(places.map(({ column, i }) => [column.name, numberOrNull(row.values[i])])),
  }));
  const own = Object.fromEntries(
    places.map(({ column }) => {
      const cell = cells.find((one) => columns[nameOf(one)] === column.name);
      return [column.name, cell ? cell.value : null];
    }),
  );
  const title = `${name}, Table ${id}: ${table.caption}`;
  return {
    title,
    columns: places.map(({ column }) => column.name),
    rows: [...rows, { name: ours, source: 'ours', values: own }],
  };
}

const numberOrNull = (value: number | string | null): number | null => (typeof value === 'number' ? value : null);

export function paperMarkdown({ title, columns, rows }: PaperTableRows): string {
  const lines = rows.map(({ name, values }) => {
    const numbers = columns.map((column) => (values[column] === null ? '-' : digits(values[column])));
    return `| ${name} | ${numbers.join(' | ')} |`;
  });
  return [title, '', `| model | ${columns.join(' | ')} |`, `|---${'|---'.repeat(columns.length)}|`, ...lines, ''].join(
    '\n',
  );
}

export function paperLatex({ columns, rows }: PaperTableRows): string {
  const lines = rows.map(({ name, values }, i) => {
    const numbers = columns.map((column) => (values[column] === null ? '--' : digits(values[column])));
    const line = `${escapeLatex(name)} & ${numbers.join(' & ')} \\\\`;
    return i === rows.length - 1 ? `\\midrule\n${line}` : line;
  });
  const head = `model & ${columns.map(escapeLatex).join(' & ')} \\\\`;
  return [
    `\\begin{tabular}{l${'r'.repeat(columns.length)}}`,
    '\\toprule',
    head,
    '\\midrule',
    ...lines,
    '\\bottomrule',
    '\\end{tabular}',
    '',
  ].join('\n');
}

/** As a danfo.js frame, which notebooks show as a table: a row a column of the suite. */
export async function cellsFrame(cells: readonly Cell[]): Promise<DataFrame> {
  const danfo = await import('danfojs-node');
  return new danfo.DataFrame(
    cells.map((cell) => ({
      column: nameOf(cell),
      value: cell.value,
      low: cell.ci95[0],
      high: cell.ci95[1],
      items: cell.items,
      clusters: cell.clusters,
    })),
  );
}

/** The paper's rows and ours as a danfo.js frame. */
export async function paperFrame({ columns, rows }: PaperTableRows): Promise<DataFrame> {
  const danfo = await import('danfojs-node');
  return new danfo.DataFrame(
    rows.map(({ name, source, values }) => ({
      model: name,
      source,
      ...Object.fromEntries(columns.map((column) => [column, values[column] ?? NaN])),
    })),
  );
}

const escapeLatex = (text: string): string => text.replace(/[_%&#$]/g, (sign) => `\\${sign}`);
