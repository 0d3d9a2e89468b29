/** Whether a cell is complete, unfinished, or wrong whatever follows. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { ts } from './typescript';

/** Messages that say that more text was expected: "'}' expected", "Expression expected" and their like. */
function wantsMore(diagnostic: TypeScript.Diagnostic, end: number): boolean {
  const unterminated = [1002, 1010, 1160, 1161]; // string, comment, template, regular expression not ended
  if (diagnostic.code === 1002) return false; // a string cannot go on in the next line
  return unterminated.includes(diagnostic.code) || (diagnostic.start ?? 0) >= end;
}

/** `invalid` where the text is wrong before its end, so that no further line can mend it. */
export function isInvalid(code: string): boolean {
  const file = ts.createSourceFile('cell.ts', `export {};\n${code}`, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
  const { parseDiagnostics } = file as unknown as { parseDiagnostics?: readonly TypeScript.Diagnostic[] };
  const end = file.text.trimEnd().length;
  const first = parseDiagnostics?.[0];
  return first !== undefined && !wantsMore(first, end);
}
