/** Arithmetic inside the papers' tables: printed differences and averages, rows that stand twice, means that cannot be. */
import { numberAt, type Paper, type PaperTable, printed, rowOf, tableOf } from './schema';

/** A printed number that the table's own cells do not give. */
export interface Disagreement {
  readonly where: string;
  readonly printed: number;
  readonly computed: number;
}

const rounded = (value: number, decimals: number): number => Number(value.toFixed(decimals));

/** Differences that are printed beside the numbers, computed from the numbers. */
function differences(table: PaperTable): Disagreement[] {
  const { differences: given } = table;
  if (!given) return [];
  return Object.entries(given.rows).flatMap(([row, deltas]) =>
    deltas.flatMap((delta, i) => {
      if (delta === null) return [];
      const { name, decimals } = table.columns[i];
      const computed = rounded(numberAt(table, row, name) - numberAt(table, given.from, name), decimals);
      return computed === delta ? [] : [{ where: `Table ${table.id}, ${row}, ${name}`, printed: delta, computed }];
    }),
  );
}

/** Columns that are means of others. Half a unit of the last digit is allowed either way: the cells are rounded, too. */
function averages(table: PaperTable): Disagreement[] {
  const { averages: given } = table;
  if (!given) return [];
  const decimals = table.columns.find(({ name }) => name === given.column)?.decimals ?? 0;
  return table.rows.flatMap(({ name }) => {
    const cells = given.of.map((column) => numberAt(table, name, column));
    const computed = cells.reduce((sum, cell) => sum + cell, 0) / cells.length;
    const stated = numberAt(table, name, given.column);
    const near = Math.abs(computed - stated) <= 0.5 * 10 ** -decimals + 1e-9;
    return near ? [] : [{ where: `Table ${table.id}, ${name}, ${given.column}`, printed: stated, computed }];
  });
}

/** Rows that stand in two tables: cells of the columns that both have. */
function repeatedRows(paper: Paper): Disagreement[] {
  return paper.consistency.flatMap(({ cells }) => {
    const [first, ...others] = cells.map(([id, row]) => ({ table: tableOf(paper, id), row }));
    return others.flatMap(({ table, row }) =>
      table.columns.flatMap(({ name }) => {
        if (!first.table.columns.some((column) => column.name === name)) return [];
        const [one, two] = [numberAt(first.table, first.row, name), numberAt(table, row, name)];
        const where = `Tables ${first.table.id} and ${table.id}, ${row}, ${name}`;
        return Object.is(one, two) ? [] : [{ where, printed: two, computed: one }];
      }),
    );
  });
}

/** Everything in a paper's tables that disagrees with the tables themselves. */
export function disagreements(paper: Paper): Disagreement[] {
  return [...paper.tables.flatMap((table) => [...differences(table), ...averages(table)]), ...repeatedRows(paper)];
}

/**
 * GenEval's overall score is the mean of six tags, of which a table may print four. What the other two must sum to, at
 * most 2 and for a model of today about 1.8: a sum far from its neighbors' shows that one of the five numbers is of
 * another run. The first is `row`; rounding moves the sum by at most 0.05.
 */
export function impliedGenEval(paper: Paper): { row: string; overall: number; impliedSum: number }[] {
  const table = tableOf(paper, '1');
  const tags = ['Two Obj.', 'Counting', 'Position', 'Color Attri.'].map((tag) => `GenEval ${tag}`);
  return table.rows.flatMap(({ name }) => {
    const overall = numberAt(table, name, 'GenEval Overall');
    const impliedSum = tags.reduce((rest, tag) => rest - numberAt(table, name, tag), 6 * overall);
    return Number.isNaN(impliedSum) ? [] : [{ row: name, overall, impliedSum: rounded(impliedSum, 2) }];
  });
}

/** A table as records for a notebook: `{method, COLUMN: '0.786', ...}`, as printed. */
export function printedRows(table: PaperTable, rows: readonly string[] = table.rows.map(({ name }) => name)) {
  return rows.map((name): Record<string, string> => {
    const row = rowOf(table, name);
    const cells = table.columns.map((column, i) => [column.name, printed(row.values[i], column)]);
    return { method: name, ...(Object.fromEntries(cells) as Record<string, string>) };
  });
}

export interface PaperRowsQuery {
  /** Default: all. */
  readonly rows?: readonly string[];
  readonly columns?: readonly string[];
  /** What the rows are called in the chart, row -> name. Default: as the paper calls them. */
  readonly names?: Readonly<Record<string, string>>;
  /** Default: the row's group. */
  readonly series?: string;
  /** Changes against this row in percent, in place of scores. */
  readonly against?: string;
}

/** Cells as rows of a chart of scores (`dotChart`); a dash stays a dash. */
export function paperRows(table: PaperTable, query: PaperRowsQuery = {}) {
  const { columns = table.columns.map(({ name }) => name), names = {}, series, against } = query;
  const rows = (query.rows ?? table.rows.map(({ name }) => name)).filter((name) => name !== against);
  return columns.flatMap((panel) =>
    rows.map((name) => {
      const cell = numberAt(table, name, panel);
      const base = against === undefined ? NaN : numberAt(table, against, panel);
      const value = against === undefined ? cell : (100 * (cell - base)) / base;
      const group = series ?? rowOf(table, name).group ?? 'published';
      return {
        panel,
        method: names[name] ?? name,
        series: group,
        text: '-',
        ...(Number.isNaN(value) ? {} : { value }),
      };
    }),
  );
}
