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
  /** The file to name instead of the code's own name. */
  readonly file?: string;
  /** Characters put before the source's first line. */
  readonly columns: number;
  /** A cell: tslab puts a line before its source, and the start of a function before the first line of its code. */
  readonly cell?: { readonly asynchronous: boolean; readonly source: string; readonly lines: number };
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
    const { maps, parsed, options } = entry;
    const shown = options.file ?? name;
    if (!maps) return { name: shown, line, column };
    parsed.first ??= new SourceMap(JSON.parse(maps.first) as SourceMapPayload);
    const shift = options.cell && line === 1 ? wrappers[options.cell.asynchronous ? 0 : 1].length : 0;
    let at: Position | undefined = [line - 1, Math.max(0, column - 1 - shift)];
    if (maps.second) {
      parsed.second ??= new SourceMap(JSON.parse(maps.second()) as SourceMapPayload);
      at = mapped(parsed.second, at);
    }
    const source = at && mapped(parsed.first, at);
    if (!source) return { name: shown, line, column };
    const before = options.cell ? 1 : 0; // tslab's own first line, `export {};`
    const sourceLine = source[0] - before;
    const sourceColumn = source[1] - (sourceLine === 0 ? options.columns : 0);
    return { name: shown, line: sourceLine + 1, column: Math.max(0, sourceColumn) + 1 };
  }
}

function mapped(map: SourceMap, [line, column]: Position): Position | undefined {
  const entry = map.findEntry(line, column);
  return 'originalLine' in entry ? [entry.originalLine, entry.originalColumn] : undefined;
}
