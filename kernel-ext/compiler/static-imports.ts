/** What a cell imports, read from its text. */
import { ts } from './typescript';

/** Names of modules that running a cell will load by `import ... from`. */
export function staticImports(code: string): string[] {
  const names: string[] = [];
  for (const statement of ts.createSourceFile('cell.ts', code, ts.ScriptTarget.Latest).statements) {
    const from =
      ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement) ? statement.moduleSpecifier : undefined;
    const typeOnly = ts.isImportDeclaration(statement) && statement.importClause?.isTypeOnly;
    if (from && ts.isStringLiteral(from) && !typeOnly) names.push(from.text);
  }
  return names;
}
