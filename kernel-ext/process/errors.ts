/** What went wrong in a cell, in the words of the protocol: a name, a sentence, and a traceback in the cell's own lines. */
import { inspect } from 'node:util';
import type { Diagnostic } from 'tslab/dist/converter';
import { Interrupted } from './interrupt-gate';
import type { CodeMap } from '../compiler/code-map';
import { cellTitle, mapFrame, placeInCell } from './stacks';

/** An error as iopub's `error` message and the replies carry it. */
export interface Failure {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

const red = (text: string): string => `\u001b[1;31m${text}\u001b[0m`;
const dim = (text: string): string => `\u001b[2m${text}\u001b[0m`;

/** The failing line with a mark under the column. */
function codeFrame(source: string | undefined, line: number, column: number): string[] {
  const text = source?.split('\n')[line - 1];
  if (text === undefined) return [];
  const number = String(line);
  const before = text.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return [`${dim(`${number} |`)} ${text}`, `${dim(`${' '.repeat(number.length)} |`)} ${before}${red('^')}`];
}

function traceOf(error: Error, code: CodeMap, depth = 0): string[] {
  const stack = typeof error.stack === 'string' ? error.stack : '';
  const message = String(error.message);
  const from = stack.indexOf('\n    at ');
  const frames = from < 0 ? [] : stack.slice(from + 1).split('\n');
  const mapped = frames.flatMap((frame) => mapFrame(frame, code, false) ?? []);
  const first = mapped.map(placeInCell).find((place) => place !== undefined);
  const lines = [...syntaxErrorPlace(error, stack), `${red(nameOf(error))}: ${message}`];
  if (first) lines.push(...codeFrame(code.source(first.name), first.line, first.column));
  lines.push(...mapped);
  const extra = Object.entries(error).filter(([key]) => !['name', 'message', 'stack', 'cause', 'errors'].includes(key));
  if (extra.length) lines.push(inspect(Object.fromEntries(extra), { depth: 1, breakLength: 120 }));
  if (depth < 5) {
    if (error.cause instanceof Error) lines.push('caused by:', ...traceOf(error.cause, code, depth + 1));
    else if (error.cause !== undefined) lines.push(`caused by: ${inspect(error.cause)}`);
    if (error instanceof AggregateError)
      for (const one of error.errors.slice(0, 5))
        lines.push('one of:', ...(one instanceof Error ? traceOf(one, code, depth + 1) : [inspect(one)]));
  }
  return lines;
}

/** Node puts the file, the line and a mark before the message of a syntax error in a file that it loads. */
function syntaxErrorPlace(error: Error, stack: string): string[] {
  if (!(error instanceof SyntaxError)) return [];
  const place = /^((?:file:|[/\\]|[A-Za-z]:)[^\n]*:\d+\n[^]*?)\n\n?SyntaxError/.exec(stack)?.[1];
  return place ? place.split('\n') : [];
}

function nameOf(error: Error): string {
  return typeof error.name === 'string' && error.name ? error.name : 'Error';
}

/** Whether a value is an error, also one of another realm. */
function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

/** The failure of anything that was thrown, also of what throws when it is looked at. */
export function failureOf(thrown: unknown, code: CodeMap): Failure {
  try {
    return describe(thrown, code);
  } catch {
    const evalue = 'a value that cannot be shown was thrown';
    return { ename: 'Thrown', evalue, traceback: [`${red('Thrown')}: ${evalue}`] };
  }
}

function describe(thrown: unknown, code: CodeMap): Failure {
  if (isError(thrown)) {
    const interrupted =
      thrown instanceof Interrupted || /^Script execution was interrupted by `SIGINT`/.test(thrown.message);
    if (interrupted)
      return {
        ename: 'Interrupted',
        evalue: 'the cell was interrupted',
        traceback: [`${red('Interrupted')}: the cell was interrupted`],
      };
    return { ename: nameOf(thrown), evalue: String(thrown.message), traceback: traceOf(thrown, code) };
  }
  const shown = inspect(thrown);
  return {
    ename: 'Thrown',
    evalue: shown,
    traceback: [`${red('Thrown')}: ${shown}`, 'This value is no Error, so there is no trace of where it was thrown.'],
  };
}

/** The failure of a cell that does not compile. */
export function diagnosticFailure(diagnostics: readonly Diagnostic[], cell: string, source: string): Failure {
  const lines: string[] = [];
  let last: Diagnostic | undefined;
  let count = 0;
  for (const one of diagnostics) {
    const same =
      last && one.start.offset === last.start.offset && one.code === last.code && one.fileName === last.fileName;
    if (same) {
      lines.push(`    ${one.messageText}`);
      continue;
    }
    last = one;
    count += 1;
    const [line, column] = [one.start.line + 1, one.start.character + 1];
    lines.push(
      `${one.fileName ?? cellTitle(cell)}:${line}:${column} - ${red(`error TS${one.code}`)}: ${one.messageText}`,
    );
    if (!one.fileName) lines.push(...codeFrame(source, line, column));
  }
  const [first] = diagnostics;
  const more = count > 1 ? ` (and ${count - 1} more)` : '';
  lines.push(dim('// @ts-nocheck as the first line of the cell runs it without type checks.'));
  return { ename: 'TypeScriptError', evalue: `${first.messageText}${more}`, traceback: lines };
}
