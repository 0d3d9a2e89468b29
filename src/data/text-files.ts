/** Text files of any size as records: lines, JSON lines, the items of a JSON array, rows of a table. A piece at a time. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { DataSetError, type RawRecord } from './items';

/** A longer line, item or row is an error: a record of megabytes is a file that lost its line breaks or brackets. */
export const maxRecordLength = 16 << 20;

const problem = (file: string, where: string, what: string): RawRecord => ({ file, where, problem: what });

/**
 * The text in pieces. Bytes that are no UTF-8 become U+FFFD, which the item is blamed for, so that its neighbors are read.
 * @throws DataSetError for a missing file, or one in UTF-16
 */
export async function* textPieces(file: string): AsyncGenerator<string> {
  await checkText(file);
  const decoder = new TextDecoder();
  for await (const bytes of createReadStream(file) as AsyncIterable<Uint8Array>)
    yield decoder.decode(bytes, { stream: true });
  yield decoder.decode();
}

async function checkText(file: string): Promise<void> {
  const start = Buffer.alloc(2);
  try {
    const handle = await open(file);
    await handle.read(start, 0, 2, 0).finally(() => handle.close());
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataSetError(`${file}: ${code === 'ENOENT' ? 'the file is missing' : message}`, file);
  }
  if ([0xfeff, 0xfffe].includes(start.readUInt16BE()))
    throw new DataSetError(`${file}: it is UTF-16 text; UTF-8 was expected: save it as UTF-8`, file);
}

/** Lines with their numbers from 1; empty ones are left out. A byte order mark and CR before LF are no part of them. */
export async function* readLines(file: string): AsyncGenerator<RawRecord> {
  let rest = '';
  let number = 0;
  let tooLong = false;
  const lineOf = (text: string): RawRecord | undefined => {
    const where = `line ${++number}`;
    const wasTooLong = tooLong;
    tooLong = false;
    if (wasTooLong) return problem(file, where, `the line is longer than ${maxRecordLength} characters`);
    const line = (number === 1 ? text.replace(/^\uFEFF/, '') : text).replace(/\r$/, '');
    return line.trim() === '' ? undefined : { file, where, value: line };
  };
  for await (const piece of textPieces(file)) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const record = lineOf(line);
      if (record) yield record;
    }
    if (rest.length > maxRecordLength) [rest, tooLong] = ['', true];
  }
  const last = lineOf(rest);
  if (last) yield last;
}

/** A JSON value a line. */
export async function* readJsonLines(file: string): AsyncGenerator<RawRecord> {
  for await (const line of readLines(file))
    yield 'problem' in line ? line : parsed(line.file, line.where, String(line.value));
}

/**
 * The items of a JSON array. Its brackets and quotes are followed, and each item is parsed by itself: one that is no
 * JSON inside does not spoil the others, and a file that breaks off has all items before that.
 * @param key the array stands in this field of an object; default: the file is the array
 */
export async function* readJsonArray(file: string, key?: string): AsyncGenerator<RawRecord> {
  yield* readCut(file, new ItemScanner('[', key), (text) => text);
}

/** The fields of a JSON object, each as `{ [key]: value }`; otherwise as {@link readJsonArray}. */
export async function* readJsonFields(file: string): AsyncGenerator<RawRecord> {
  yield* readCut(file, new ItemScanner('{'), (text) => `{${text}}`);
}

async function* readCut(
  file: string,
  scanner: ItemScanner,
  whole: (text: string) => string,
): AsyncGenerator<RawRecord> {
  let count = 0;
  for await (const piece of textPieces(file)) {
    for (const item of scanner.push(piece)) {
      const where = `item ${++count}`;
      yield item === undefined
        ? problem(file, where, `the item is longer than ${maxRecordLength} characters`)
        : parsed(file, where, whole(item));
    }
  }
  const fault = scanner.end();
  if (fault !== undefined) yield problem(file, count > 0 ? `after item ${count}` : 'the file', fault);
}

function parsed(file: string, where: string, text: string): RawRecord {
  try {
    return { file, where, value: JSON.parse(text) as unknown };
  } catch (error) {
    return problem(file, where, `not JSON (${(error as Error).message})`);
  }
}

/** Cuts the items of one list, or the fields of the outermost object, out of JSON text that comes in pieces. */
class ItemScanner {
  /** Brackets that are open. */
  private stack = '';
  private inText = false;
  private escaped = false;
  /** Depth inside the array that is looked for; 0 while it was not found. */
  private inside = 0;
  private done = false;
  private item = '';
  private tooLong = false;
  private lastText = '';

  constructor(
    private readonly bracket: '[' | '{',
    private readonly key?: string,
  ) {}

  /** Items that ended in this piece; undefined for one that was too long. */
  *push(piece: string): Generator<string | undefined> {
    if (this.done) return;
    let from = 0;
    for (let i = 0; i < piece.length && !this.done; i++) {
      const char = piece[i];
      const ended = this.step(char);
      if (this.inside === 0) {
        if (char === '"' && this.inText) [this.lastText, from] = ['', i + 1];
        else if (char === '"') this.lastText += piece.slice(from, i);
      } else if (ended === 'array') from = i + 1;
      else if (ended) {
        this.keep(piece.slice(from, i));
        from = i + 1;
        if (this.item.trim() !== '' || this.tooLong) yield this.tooLong ? undefined : this.item;
        [this.item, this.tooLong] = ['', false];
      }
    }
    if (this.inside > 0 && !this.done) this.keep(piece.slice(from));
    else if (this.inText) this.lastText = (this.lastText + piece.slice(from)).slice(0, 256);
  }

  /** What is wrong now that nothing follows. */
  end(): string | undefined {
    if (this.done) return undefined;
    if (this.inside > 0) return 'the file breaks off: its last bracket is not closed';
    return this.key === undefined
      ? `the file should be a JSON ${this.bracket === '[' ? 'list' : 'object'}`
      : `the file should be a JSON object with a list '${this.key}'`;
  }

  private keep(text: string): void {
    if (this.item.length + text.length > maxRecordLength) [this.item, this.tooLong] = ['', true];
    else if (!this.tooLong) this.item += text;
  }

  /** @returns `array` when the array begins here, `item` when an item ended here */
  private step(char: string): 'array' | 'item' | undefined {
    if (this.inText) {
      if (this.escaped) this.escaped = false;
      else if (char === '\\') this.escaped = true;
      else if (char === '"' || char === '\n') this.inText = false; // no text of JSON goes over a line: a quote is missing
      return undefined;
    }
    if (char === '"') this.inText = true;
    else if (char === '[' || char === '{') return this.open(char);
    else if (char === ']' || char === '}') return this.close(char === ']' ? '[' : '{');
    else if (char === ',' && this.inside > 0 && this.stack.length === this.inside) return 'item';
    return undefined;
  }

  private open(char: string): 'array' | undefined {
    const depth = this.stack.length;
    const found = this.key === undefined ? depth === 0 : depth === 1 && this.lastText === this.key;
    this.stack += char;
    if (this.inside > 0 || char !== this.bracket || !found) return undefined;
    this.inside = this.stack.length;
    return 'array';
  }

  /** Brackets that an item left open are closed with it. */
  private close(opened: string): 'item' | undefined {
    const at = this.stack.lastIndexOf(opened);
    if (at >= 0) this.stack = this.stack.slice(0, at);
    if (this.inside === 0 || this.stack.length >= this.inside) return undefined;
    this.done = true;
    return 'item';
  }
}
