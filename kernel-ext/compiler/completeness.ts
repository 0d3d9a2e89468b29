/** Whether a cell is complete, unfinished, or wrong whatever follows. */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** Comments, template strings and regular expressions that were begun and not ended. */
const unended = [1010, 1160, 1161];
/** A string that was not ended: it cannot go on in the next line. */
const unendedString = 1002;

/**
 * Decides by the first syntax error: at the end of the text, more text may fix it; before the end, nothing can.
 */
export function completeness(code: string): 'complete' | 'incomplete' | 'invalid' {
  const file = ts.createSourceFile('cell.ts', `export {};\n${code}`, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
  const { parseDiagnostics } = file as unknown as { parseDiagnostics?: readonly TypeScript.Diagnostic[] };
  const first = parseDiagnostics?.[0];
  if (!first) return 'complete';
  if (first.code === unendedString) return 'invalid';
  const atEnd = (first.start ?? 0) >= file.text.trimEnd().length;
  return atEnd || unended.includes(first.code) ? 'incomplete' : 'invalid';
}
