/**
 * tslab compiles a cell twice: TypeScript to an ES module, and that to CommonJS, which takes as long again. A cell of
 * constants and expressions alone needs no second compiler: its exports can be written down while the first one emits.
 */
import type * as TypeScript from 'typescript';
import { splitDeclarations } from './early-exports';
import { ts } from './typescript';

/** Names that are a CommonJS module's own. */
const reserved = new Set(['exports', 'require']);

/** Whether code has none of the words for which the second compilation does more than to write exports. */
export function mayTakeFastPath(source: string): boolean {
  return !/\b(?:await|import|export)\b/.test(source);
}

/** The names that a statement declares, if they are constants with plain names; undefined for other declarations. */
function constantsOf(statement: TypeScript.Statement): string[] | undefined {
  if (ts.isExpressionStatement(statement)) return [];
  if (!ts.isVariableStatement(statement)) return undefined;
  const { flags, declarations } = statement.declarationList;
  if (!(flags & ts.NodeFlags.Const)) return undefined;
  const plain = declarations.map(({ name }) => name).filter(ts.isIdentifier);
  const names = plain.map(({ text }) => text).filter((name) => !reserved.has(name));
  return names.length === declarations.length ? names : undefined;
}

function isExported(statement: TypeScript.Statement): boolean {
  return ts.isVariableStatement(statement) && (statement.modifiers?.length ?? 0) > 0;
}

/** The names in `export { a, b }`; undefined for other forms. */
function exportedByList(statement: TypeScript.ExportDeclaration): string[] | undefined {
  const { exportClause, moduleSpecifier } = statement;
  if (moduleSpecifier || !exportClause || !ts.isNamedExports(exportClause)) return undefined;
  const { elements } = exportClause;
  return elements.some((one) => one.propertyName) ? undefined : elements.map((one) => one.name.text);
}

/**
 * Writes a module of constants and expressions as CommonJS, as the second compiler would: each constant is exported
 * right after its declaration, so that what a later line calls finds it there.
 * @param done called with what is exported, when the module was one and needs no second compilation
 */
export function exportOnFastPath(
  done: (exported: ReadonlySet<string>) => void,
): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return ({ factory }) => {
    const exported = (name: string): TypeScript.Expression =>
      factory.createPropertyAccessExpression(factory.createIdentifier('exports'), name);
    const assigned = (name: string, value: TypeScript.Expression): TypeScript.Statement =>
      factory.createExpressionStatement(factory.createAssignment(exported(name), value));

    return (file) => {
      const declared = new Set<string>();
      const wanted = new Set<string>();
      for (const statement of file.statements) {
        const names = ts.isExportDeclaration(statement) ? exportedByList(statement) : constantsOf(statement);
        if (!names) return file;
        for (const name of names) {
          if (!ts.isExportDeclaration(statement)) declared.add(name);
          if (ts.isExportDeclaration(statement) || isExported(statement)) wanted.add(name);
        }
      }
      if ([...wanted].some((name) => !declared.has(name))) return file;
      const statements: TypeScript.Statement[] = [];
      for (const statement of file.statements.flatMap((one) => splitDeclarations(one, factory))) {
        if (ts.isExportDeclaration(statement)) continue;
        if (!isExported(statement)) {
          statements.push(statement);
          for (const name of constantsOf(statement) ?? [])
            if (wanted.has(name)) statements.push(assigned(name, factory.createIdentifier(name)));
          continue;
        }
        // tslab's own, for the value of the last expression; nothing reads it by name.
        for (const { name, initializer } of (statement as TypeScript.VariableStatement).declarationList.declarations)
          statements.push(assigned((name as TypeScript.Identifier).text, initializer ?? factory.createVoidZero()));
      }
      done(wanted);
      return factory.updateSourceFile(file, statements);
    };
  };
}
