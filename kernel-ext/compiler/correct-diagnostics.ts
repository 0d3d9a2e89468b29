/** tslab's diagnostics of a cell, as they concern the person who wrote it. */
import type * as TypeScript from 'typescript';
import type { Diagnostic } from 'tslab/dist/converter';
import { ts } from './typescript';

/** Positions in the cell's own text; and no advice about options that the kernel sets. */
export function correctDiagnostics(diagnostics: readonly Diagnostic[], prefix: string): void {
  for (const diagnostic of diagnostics) {
    if (diagnostic.code === 2792) {
      diagnostic.code = 2307;
      diagnostic.messageText = diagnostic.messageText.replace(/\. Did you mean.*$/, ' or its type declarations.');
    }
    if (diagnostic.fileName) continue;
    for (const position of [diagnostic.start, diagnostic.end]) {
      position.offset -= prefix.length;
      if (position.line === 0) position.character -= prefix.length;
    }
  }
}

/** TypeScript's error in a file as tslab gives those below the notebook's folder. */
export function inFile({
  file,
  start = 0,
  length = 0,
  messageText,
  category,
  code,
}: TypeScript.Diagnostic): Diagnostic {
  const position = (offset: number): Diagnostic['start'] => ({
    offset,
    ...(file?.getLineAndCharacterOfPosition(offset) ?? { line: 0, character: 0 }),
  });
  const text = ts.flattenDiagnosticMessageText(messageText, '\n');
  const [from, to] = [position(start), position(start + length)];
  return { start: from, end: to, messageText: text, category, code, fileName: file?.fileName };
}
