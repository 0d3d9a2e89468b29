/** Rows of a Parquet file, some of them at a time: a file of gigabytes needs the memory of its largest row group's columns. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type { AsyncBuffer, Compressors, FileMetaData } from 'hyparquet' with { 'resolution-mode': 'import' };
import { DataSetError, type RawRecord } from './items';

/** A page or a column of a row group that claims more is refused before it is unpacked. */
const maxUnpackedBytes = 512 << 20;

export interface ParquetOptions {
  /** Columns that must be there; others are not read. */
  readonly columns: readonly string[];
  /** Columns that are read where they are there. */
  readonly optional?: readonly string[];
  /** Rows decoded at a time. Default 512, which row groups with images seldom have. */
  readonly batch?: number;
}

/**
 * Rows as objects; bytes are Uint8Array. A batch of rows that cannot be read is one error, and reading goes on behind it.
 * @throws DataSetError for a missing file or one that is no Parquet
 */
export async function* readParquet(file: string, options: ParquetOptions): AsyncGenerator<RawRecord> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const buffer = await open(file, asyncBufferFromFile);
  const metadata = await parquetMetadataAsync(buffer).catch((error: Error) => {
    throw new DataSetError(`${file} is no Parquet file: ${error.message}`);
  });
  const there = parquetSchema(metadata).children.map(({ element }) => element.name);
  const lacking = options.columns.filter((name) => !there.includes(name));
  if (lacking.length > 0) {
    const problem = `there is no column ${lacking.join(', ')}: it has ${there.join(', ').slice(0, 400)}`;
    yield { file, where: 'the file', problem };
    return;
  }
  const columns = [...options.columns, ...(options.optional ?? []).filter((name) => there.includes(name))];
  const compressors = await boundedCompressors();
  for (const { start, end, problem } of batches(metadata, options.batch ?? 512)) {
    const where = `rows ${start} to ${end - 1}`;
    if (problem !== undefined) {
      yield { file, where, problem };
      continue;
    }
    try {
      const rows = await parquetReadObjects({
        file: buffer,
        metadata,
        columns,
        rowStart: start,
        rowEnd: end,
        compressors,
        utf8: false,
      });
      for (const [i, value] of rows.entries()) yield { file, where: `row ${start + i}`, value };
    } catch (error) {
      yield { file, where, problem: `the rows cannot be read (${(error as Error).message})` };
    }
  }
}

async function open(file: string, asyncBufferFromFile: (file: string) => Promise<AsyncBuffer>): Promise<AsyncBuffer> {
  try {
    return await asyncBufferFromFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataSetError(code === 'ENOENT' ? `${file}: the file is missing` : `${file} cannot be read: ${message}`);
  }
}

/** Batches never span row groups: a damaged group costs its own rows. */
function* batches(metadata: FileMetaData, size: number): Generator<{ start: number; end: number; problem?: string }> {
  let at = 0;
  for (const group of metadata.row_groups) {
    const end = at + Number(group.num_rows);
    const unpacked = Math.max(
      0,
      ...group.columns.map(({ meta_data }) => Number(meta_data?.total_uncompressed_size ?? 0)),
    );
    if (unpacked > maxUnpackedBytes)
      yield {
        start: at,
        end,
        problem: `a column has ${unpacked} bytes unpacked, more than the ${maxUnpackedBytes} that are read`,
      };
    else for (let start = at; start < end; start += size) yield { start, end: Math.min(end, start + size) };
    at = end;
  }
}

/** What Hugging Face's files use, each with a limit on what it unpacks to. */
async function boundedCompressors(): Promise<Compressors> {
  const { snappyUncompress } = await import('hyparquet');
  const options = { maxOutputLength: maxUnpackedBytes };
  return {
    GZIP: (input) => gunzipSync(input, options),
    BROTLI: (input) => brotliDecompressSync(input, options),
    SNAPPY: (input, length) => {
      if (length > maxUnpackedBytes) throw new RangeError(`a page claims ${length} bytes`);
      const output = new Uint8Array(length);
      snappyUncompress(input, output);
      return output;
    },
  };
}
