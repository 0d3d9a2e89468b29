/** One JSON value a line: logs that can be read while they grow, and that a killed process cannot spoil. */
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { appendWhole, writeFileAtomic } from './write-file';

/** Appends records to a `.jsonl` file. NaN and infinities are written as null, as JSON has no word for them. */
export class JsonLines<T> {
  private constructor(
    readonly file: string,
    private readonly handle: FileHandle,
  ) {}

  /**
   * Opens a file to append to; makes it and its folder when missing. A last line that was cut off is removed.
   * @param keep which of the records already there stay (default all): a resumed run drops those after its checkpoint
   * @throws Error naming the line when one in the middle is not JSON
   */
  static async open<T>(file: string, keep?: (record: T) => boolean): Promise<JsonLines<T>> {
    await mkdir(path.dirname(file), { recursive: true });
    const text = await readText(file);
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const kept = keep ? lines<T>(file, whole).filter(keep).map(toLine).join('') : whole;
    if (kept !== text) await writeFileAtomic(file, kept);
    return new JsonLines<T>(file, await open(file, 'a'));
  }

  /** All whole records of a file; a last line that was cut off is left out, a missing file is empty. */
  static async read<T>(file: string): Promise<T[]> {
    const text = await readText(file);
    return lines<T>(file, text.slice(0, text.lastIndexOf('\n') + 1));
  }

  /** Appends one record and hands it to the system: another process sees it at once. */
  async append(record: T): Promise<void> {
    await appendWhole(this.handle, toLine(record));
  }

  /** Waits until all that was appended is on the disk. */
  async flush(): Promise<void> {
    await this.handle.datasync();
  }

  /** Flushes and closes. */
  async close(): Promise<void> {
    await this.flush();
    await this.handle.close();
  }
}

function toLine(record: unknown): string {
  return `${JSON.stringify(record)}\n`;
}

function lines<T>(file: string, text: string): T[] {
  const records: T[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue;
    try {
      records.push(JSON.parse(line) as T);
    } catch (error) {
      throw new Error(`${file}:${i + 1}: not a line of JSON (${(error as Error).message})`, { cause: error });
    }
  }
  return records;
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}
