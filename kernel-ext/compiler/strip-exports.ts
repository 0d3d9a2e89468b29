/**
 * Code copied from a file says `export const x`; tslab exports a cell's declarations itself, so that saying it again is
 * an error there. In a cell the word adds nothing: it is taken out.
 */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** The source with spaces where top-level declarations say `export`, and for `export { x }`: every place stays. */
export function stripExports(source: string): string {
  if (!/\bexport\b/.test(source)) return source;
  const file = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.Latest);
  let text = source;
  const blank = (from: number, to: number): void => {
    text = text.slice(0, from) + text.slice(from, to).replace(/[^\r\n]/g, ' ') + text.slice(to);
  };
  for (const statement of file.statements) {
    if (ts.isExportDeclaration(statement)) {
      // With a module's name it imports, too: `export * from './x'` stays.
      if (!statement.moduleSpecifier) blank(statement.getStart(file), statement.end);
      continue;
    }
    if (!ts.canHaveModifiers(statement) || isUnnamed(statement)) continue;
    for (const modifier of ts.getModifiers(statement) ?? [])
      if (modifier.kind === ts.SyntaxKind.ExportKeyword || modifier.kind === ts.SyntaxKind.DefaultKeyword)
        blank(modifier.getStart(file), modifier.end);
  }
  return text;
}

/** `export default class {}`: without the words it would be no statement. */
function isUnnamed(statement: TypeScript.Statement): boolean {
  return (ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement)) && !statement.name;
}
