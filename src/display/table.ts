/** Tables: danfo.js data frames and lists of records, as paged HTML and as aligned text. */
import { Display, type MimeBundle } from './bundle';
import { html, plainText, type SafeHtml, shorten } from './html';

/** The part of a danfo.js DataFrame (or Series) that displays read. */
export interface FrameLike {
  readonly columns: readonly (string | number)[];
  readonly index: readonly (string | number)[];
  readonly values: readonly unknown[];
  readonly dtypes: readonly string[];
  readonly shape: readonly number[];
}

/** Whether a value is a danfo.js DataFrame or Series, told by its parts: danfo itself is not loaded for it. */
export function isFrame(value: unknown): value is FrameLike {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const frame = value as Partial<FrameLike>;
  return (
    Array.isArray(frame.columns) &&
    Array.isArray(frame.index) &&
    Array.isArray(frame.values) &&
    Array.isArray(frame.shape) &&
    Array.isArray(frame.dtypes)
  );
}

export interface TableOptions {
  /** A line above the table. */
  readonly title?: string;
  /** Rows on a page; later pages are folded. Default 50. */
  readonly pageRows?: number;
  /** Rows shown at all; a line says how many are left out. Default 1000. */
  readonly maxRows?: number;
  /** Digits after the point of numbers that are not whole. Default 4. */
  readonly digits?: number;
}

interface Table {
  readonly columns: readonly string[];
  readonly index: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly numeric: readonly boolean[];
}

function tableOf(input: FrameLike | readonly Readonly<Record<string, unknown>>[]): Table {
  if (isFrame(input)) {
    const columns = input.columns.map(String);
    const rows = input.values.map((row): unknown[] => (Array.isArray(row) ? [...(row as unknown[])] : [row]));
    const numeric = input.dtypes.map((type) => type === 'int32' || type === 'float32');
    return { columns, index: input.index.map(String), rows, numeric };
  }
  const records = input;
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const rows = records.map((record) => columns.map((column) => record[column]));
  const numeric = columns.map((_, c) => rows.every((row) => typeof row[c] === 'number' || row[c] === undefined));
  return { columns, index: rows.map((_, i) => String(i)), rows, numeric };
}

function cell(value: unknown, digits: number): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  if (typeof value !== 'number') return JSON.stringify(value);
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size < 10 ** -digits || size >= 1e9 ? value.toExponential(Math.min(digits, 3)) : value.toFixed(digits);
}

function htmlPage(table: Table, from: number, to: number, digits: number): SafeHtml {
  const head = table.columns.map(
    (name, c) => html`<th style="text-align:${table.numeric[c] ? 'right' : 'left'}">${name}</th>`,
  );
  const body = table.rows.slice(from, to).map(
    (row, r) =>
      html`<tr>
        <th>${table.index[from + r]}</th>
        ${row.map((value, c) => html`<td style="text-align:${table.numeric[c] ? 'right' : 'left'}">${cell(value, digits)}</td>`)}
      </tr>`,
  );
  return html`<table>
    <thead>
      <tr>
        <th></th>
        ${head}
      </tr>
    </thead>
    <tbody>
      ${body}
    </tbody>
  </table>`;
}

/** Longest text in a column of the plain table; longer ones are cut with an ellipsis. */
const widest = 40;

function textTable(table: Table, shown: number, digits: number): string {
  const header = ['', ...table.columns];
  const lines = table.rows
    .slice(0, shown)
    .map((row, r) => [table.index[r], ...row.map((value) => cell(value, digits).replace(/\s+/g, ' '))]);
  const cells = [header, ...lines].map((line) => line.map((text) => shorten(plainText(text), widest)));
  const widths = header.map((_, c) => Math.max(...cells.map((line) => line[c].length)));
  return cells
    .map((line) =>
      line
        .map((text, c) => (c > 0 && table.numeric[c - 1] ? text.padStart(widths[c]) : text.padEnd(widths[c])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/**
 * A table from a danfo.js DataFrame or Series, or from a list of records. HTML in pages of `pageRows` (the later ones
 * folded); its `text/plain` twin has the first page, aligned.
 * @throws RangeError unless `pageRows` and `maxRows` are at least 1
 */
export function tableView(
  input: FrameLike | readonly Readonly<Record<string, unknown>>[],
  options: TableOptions = {},
): Display {
  const table = tableOf(input);
  const { pageRows = 50, maxRows = 1000, digits = 4 } = options;
  if (!(pageRows >= 1) || !(maxRows >= 1))
    throw new RangeError(`pageRows and maxRows must be at least 1, got ${pageRows} and ${maxRows}`);
  const count = table.rows.length;
  const shown = Math.min(count, maxRows);
  const size = `${count} row${count === 1 ? '' : 's'} × ${table.columns.length} column${table.columns.length === 1 ? '' : 's'}`;
  const left = (n: number): string => (n < count ? `, ${count - n} more rows not shown` : '');
  const firstPage = Math.min(shown, pageRows);
  const text = [
    options.title && plainText(options.title),
    textTable(table, firstPage, digits),
    `[${size}${left(firstPage)}]`,
  ];
  return new Display(text.filter(Boolean).join('\n'), (): MimeBundle => {
    const pages: SafeHtml[] = [];
    for (let from = 0; from < Math.max(shown, 1); from += pageRows) {
      const to = Math.min(from + pageRows, shown);
      const page = htmlPage(table, from, to, digits);
      pages.push(
        from === 0
          ? page
          : html`<details>
              <summary>rows ${from + 1} to ${to}</summary>
              ${page}
            </details>`,
      );
    }
    return {
      'text/html': html`<div>
        ${options.title ? html`<div><b>${options.title}</b></div>` : ''}${pages}
        <div style="opacity:.65;font-size:85%">${size}${left(shown)}</div>
      </div>`.markup,
    };
  });
}
