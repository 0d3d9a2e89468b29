/** Stack traces in the author's own lines, without the kernel's: of errors that end a cell, and of those that it prints. */
import { fileURLToPath } from 'node:url';
import type { CodeMap } from '../compiler/code-map';

/** Frames that tell people nothing: the kernel's and Node's own. */
const internalFrames = /node:internal|node:vm|\/tslab\/dist\/|[\\/]kernel-ext[\\/]|[\\/]dist[\\/]kernel-ext[\\/]/;

/** Calls that are told: the kernel's own, which are left out, and those of libraries must not use up the room. */
const longestTrace = 40;

/** `cell-3` as people read it. */
export function cellTitle(name: string): string {
  return name.replace(/^cell-(\d+)$/, 'cell $1');
}

/** The place of a line of a stack trace in a cell, as {@link mapStacks} writes it. */
export function placeInCell(frame: string): { name: string; line: number; column: number } | undefined {
  const [, title, number, line, column] = /\b(cell (\d+)|user-expression):(\d+):(\d+)\)?$/.exec(frame) ?? [];
  if (title === undefined) return undefined;
  return { name: number === undefined ? title : `cell-${number}`, line: Number(line), column: Number(column) };
}

/**
 * A line of a stack trace as people are to read it; undefined for what tells them nothing.
 * @param raw whether V8 wrote it: else its places in files have been mapped, and only those in cells may not have been
 */
export function mapFrame(frame: string, code: CodeMap, raw: boolean): string | undefined {
  const parts = /^(\s*at (?:async (?!.*\())?(?:.*\()?)(.+?):(\d+):(\d+)(\)?)$/.exec(frame);
  if (!parts) return internalFrames.test(frame) ? undefined : frame;
  const [, head, place, line, column, tail] = parts;
  const file = place.startsWith('file://') ? fileURLToPath(place) : place;
  if (code.isWrapper(file, Number(line))) return undefined;
  const isOpen = raw || /^cell-\d+$/.test(file);
  const origin = isOpen ? code.origin(file, Number(line), Number(column)) : undefined;
  if (origin) {
    const caller = head.replace(/Object\.<anonymous> \($/, '(').replace(/\b(?:evalmachine\.)?<anonymous> \($/, '(');
    return `${caller}${cellTitle(origin.name)}:${origin.line}:${origin.column}${tail}`;
  }
  return internalFrames.test(frame) ? undefined : `${head}${file}:${line}:${column}${tail}`;
}

/** What stands before the calls in a stack trace: name and message. */
function headOf(error: unknown): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return 'Error';
  }
}

/**
 * From now on each error of this process has a stack trace in the author's lines: it is made when it is read for the first
 * time, so `console.error(error)`, `console.trace()` and `error.stack` have it as the kernel's own messages do.
 */
export function mapStacks(code: CodeMap): void {
  Error.stackTraceLimit = longestTrace;
  Error.prepareStackTrace = (error, sites) => {
    const frames = sites.map((site) => {
      const frame = `    at ${(site as { toString: () => string }).toString()}`;
      try {
        return mapFrame(frame, code, true);
      } catch {
        return frame;
      }
    });
    return [headOf(error), ...frames.filter((frame) => frame !== undefined)].join('\n');
  };
}
