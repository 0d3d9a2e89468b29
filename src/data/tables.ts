/** Tables of text, comma or tab between fields, as records by column. Quotes, line breaks in fields: `csv-parse`. */
import { Readable } from 'node:stream';
import { type Info, parse } from 'csv-parse';
import type { RawRecord } from './items';
import { maxRecordLength, textPieces } from './text-files';

export interface TableOptions {
  /** Default: a comma. */
  readonly delimiter?: ',' | '\t';
  /** Columns that must be there, under these names. */
  readonly columns: readonly string[];
}

/**
 * Rows as objects of texts by the names of the first row. A row of another length is an error, its neighbors are not.
 * @throws DataSetError for a missing file
 */
export async function* readTable(file: string, { delimiter = ',', columns }: TableOptions): AsyncGenerator<RawRecord> {
  const parser = parse({
    delimiter,
    bom: true,
    info: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: maxRecordLength,
  });
  let header: readonly string[] | undefined;
  let line = 1;
  try {
    const rows = Readable.from(textPieces(file))
      .on('error', (error) => parser.destroy(error))
      .pipe(parser);
    for await (const row of rows as AsyncIterable<{ record: string[]; info: Info }>) {
      const place = { file, where: `line ${line}` };
      line = row.info.lines + 1;
      if (!header) {
        header = row.record;
        const lacking = columns.filter((name) => !row.record.includes(name));
        if (lacking.length === 0) continue;
        yield { file, where: 'the first line', problem: headerProblem(row.record, lacking, delimiter) };
        return;
      }
      yield row.record.length === header.length
        ? { ...place, value: Object.fromEntries(header.map((name, i) => [name, row.record[i]])) }
        : { ...place, problem: lengthProblem(row.record.length, header.length, delimiter) };
    }
    if (!header)
      yield { file, where: 'the file', problem: 'it is empty; a first line with the names of columns was expected' };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (!code?.startsWith('CSV_')) throw error;
    yield { file, where: `line ${line}`, problem: `no row can be read from here on: ${message}` };
  }
}

const called = (delimiter: string) => (delimiter === '\t' ? 'tabs' : 'commas');

function headerProblem(found: readonly string[], lacking: readonly string[], delimiter: string): string {
  const shown = found.map((name) => name.slice(0, 40)).join(', ');
  return `there is no column ${lacking.join(', ')}: it has ${shown}. Are the fields separated by ${called(delimiter)}?`;
}

function lengthProblem(found: number, expected: number, delimiter: string): string {
  return `the row has ${found} fields, the first line has ${expected}; fields are separated by ${called(delimiter)}`;
}
