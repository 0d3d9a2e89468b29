/** From positions in the code that ran back to the lines that people wrote. */
import { SourceMap, type SourceMapPayload } from 'node:module';

/** The two maps of one piece of code as JSON texts: TypeScript to modern JavaScript, and that to what runs. */
export interface CodeMaps {
  readonly first: string;
  /** Made when it is needed; undefined where the modern JavaScript itself runs. */
  readonly second?: () => string;
}

/** What a position means to people. Lines and columns count from 1. */
export interface Origin {
  readonly name: string;
  readonly line: number;
  readonly column: number;
}

/** Line and column, from 0. */
type Position = readonly [line: number, column: number];

interface Entry {
  readonly maps?: CodeMaps;
  readonly parsed: { first?: SourceMap; second?: SourceMap };
  readonly options: MapOptions;
}

export interface MapOptions {
  /** Characters put before the source's first line. */
  readonly columns: number;
  /** A cell: tslab puts a line before its source, and the start of a function before the first line of its code. */
  readonly cell?: {
    readonly asynchronous: boolean;
    readonly source: string;
    readonly lines: number;
    /** The line of code, from 1, that keeps the value of the last expression; 0: none does. */
    readonly resultLine: number;
  };
}

/** Cells whose maps are kept; an error in older code is shown with its unmapped position. */
const maxEntries = 500;
/** tslab's `(async function(exports, require) { ` and its synchronous form. */
const wrappers = ['(async function(exports, require) { ', '(function(exports, require) { '];

export class CodeMap {
  private readonly entries = new Map<string, Entry>();

  /** Remembers where the code of this name came from. */
  add(name: string, maps: CodeMaps | undefined, options: MapOptions): void {
    this.entries.delete(name);
    this.entries.set(name, { maps, parsed: {}, options });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= maxEntries) break;
      this.entries.delete(oldest);
    }
  }

  /** The text of a cell, to show the line that failed. */
  source(name: string): string | undefined {
    return this.entries.get(name)?.options.cell?.source;
  }

  /** Whether a position is in what tslab puts around a cell's code. */
  isWrapper(name: string, line: number): boolean {
    const lines = this.entries.get(name)?.options.cell?.lines;
    return lines !== undefined && line > lines;
  }

  /** The origin of a position in code of this name, both counted from 1; undefined for foreign code. */
  origin(name: string, line: number, column: number): Origin | undefined {
    const entry = this.entries.get(name);
    if (!entry) return undefined;
    const source = sourcePosition(entry, line, column);
    if (!source) return { name, line, column };
    return { name, line: source[0] + 1, column: Math.max(0, source[1]) + 1 };
  }

  /**
   * The line of the source, from 1, that a position came from; undefined for foreign code, and for what nobody wrote:
   * the start of the function around a cell, exports, what makes a cell asynchronous.
   */
  writtenLine(name: string, line: number, column: number): number | undefined {
    const entry = this.entries.get(name);
    if (!entry || this.isWrapper(name, line)) return undefined;
    const { cell } = entry.options;
    if (cell && line === 1 && column <= wrapperLength(cell)) return undefined;
    const source = sourcePosition(entry, line, column);
    if (!source) return undefined;
    const lines = cell?.source.split('\n') ?? [];
    if (source[0] < 0 || source[1] < 0 || (cell && source[0] >= lines.length)) return undefined;
    const begins = cell && column === 1 && line === cell.resultLine ? pastBlank(lines, source) : source[0];
    return begins + 1;
  }

  /** The first line of code, from 1, that a line of the source, or the next one that has code, became. */
  firstLineFor(name: string, line: number): number | undefined {
    const entry = this.entries.get(name);
    if (!entry?.maps) return undefined;
    let best: { readonly code: number; readonly source: number } | undefined;
    for (const [code, column] of segments(entry.maps.second?.() ?? entry.maps.first)) {
      const source = this.writtenLine(name, code + 1, column + 1);
      if (source === undefined || source < line || (best && source >= best.source)) continue;
      best = { code: code + 1, source };
    }
    return best?.code;
  }
}

function wrapperLength({ asynchronous }: { readonly asynchronous: boolean }): number {
  return wrappers[asynchronous ? 0 : 1].length;
}

/** A position in the source, from 0, by one in the code, from 1. Its line is negative in what tslab puts before a cell. */
function sourcePosition({ maps, parsed, options }: Entry, line: number, column: number): Position | undefined {
  if (!maps) return undefined;
  parsed.first ??= new SourceMap(JSON.parse(maps.first) as SourceMapPayload);
  const shift = options.cell && line === 1 ? wrapperLength(options.cell) : 0;
  let at: Position | undefined = [line - 1, Math.max(0, column - 1 - shift)];
  if (maps.second) {
    parsed.second ??= new SourceMap(JSON.parse(maps.second()) as SourceMapPayload);
    at = mapped(parsed.second, at);
  }
  const source = at && mapped(parsed.first, at);
  if (!source) return undefined;
  const sourceLine = source[0] - (options.cell ? 1 : 0); // tslab's own first line, `export {};`
  return [sourceLine, source[1] - (sourceLine === 0 ? options.columns : 0)];
}

/** tslab has a last expression begin where the statement before it ended: the line where its code begins, from 0. */
function pastBlank(lines: readonly string[], [line, column]: Position): number {
  const rest = [lines[line].slice(column), ...lines.slice(line + 1)].join('\n');
  const blank = /^(?:\s|\/\/.*|\/\*[^]*?\*\/)*/.exec(rest)?.[0] ?? '';
  return blank.length === rest.length ? line : line + blank.split('\n').length - 1;
}

const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The positions in the code that a map speaks of, from 0. */
function* segments(map: string): Generator<Position> {
  const { mappings } = JSON.parse(map) as SourceMapPayload;
  for (const [line, group] of mappings.split(';').entries()) {
    let column = 0;
    for (const segment of group.split(',').filter((one) => one !== '')) {
      column += firstNumber(segment);
      yield [line, column];
    }
  }
}

/** The first number of a segment: five bits a character, the lowest first, the sign in the lowest of all. */
function firstNumber(segment: string): number {
  let value = 0;
  for (let at = 0, more = true; more; at++) {
    const digit = base64.indexOf(segment[at]);
    value |= (digit & 31) << (5 * at);
    more = (digit & 32) !== 0;
  }
  return value & 1 ? -(value >> 1) : value >> 1;
}

function mapped(map: SourceMap, [line, column]: Position): Position | undefined {
  const entry = map.findEntry(line, column);
  return 'originalLine' in entry ? [entry.originalLine, entry.originalColumn] : undefined;
}
