/** tslab's diagnostics of a cell, as they concern the person who wrote it. */
import type { Diagnostic } from 'tslab/dist/converter';

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
