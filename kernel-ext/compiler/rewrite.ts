/** What is changed in the modules that a cell's JavaScript names before it runs: a real `import()`, local paths. */
import type * as TypeScript from 'typescript';
import { runtimeCall } from './runtime-calls';
import { ts } from './typescript';

/**
 * A transformer of JavaScript modules:
 * - `import(x)` becomes `__unilab__.load(x, require)`, which really imports ESM packages;
 * - module names go through `rename`.
 */
export function rewriteImports(rename: (name: string) => string): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => {
    const { factory } = context;
    const renamed = <Name extends TypeScript.Expression>(name: Name): Name | TypeScript.StringLiteral =>
      ts.isStringLiteral(name) && rename(name.text) !== name.text
        ? factory.createStringLiteral(rename(name.text))
        : name;
    const visit = (node: TypeScript.Node): TypeScript.Node => {
      const inside = ts.visitEachChild(node, visit, context);
      if (ts.isCallExpression(inside) && inside.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [name, ...rest] = inside.arguments;
        const required = factory.createIdentifier('require');
        return runtimeCall(factory)('load', name ? renamed(name) : factory.createVoidZero(), required, ...rest);
      }
      if (ts.isImportDeclaration(inside)) {
        const { modifiers, importClause, moduleSpecifier, attributes } = inside;
        return factory.updateImportDeclaration(inside, modifiers, importClause, renamed(moduleSpecifier), attributes);
      }
      if (ts.isExportDeclaration(inside) && inside.moduleSpecifier) {
        const { modifiers, isTypeOnly, exportClause, moduleSpecifier, attributes } = inside;
        const name = renamed(moduleSpecifier);
        return factory.updateExportDeclaration(inside, modifiers, isTypeOnly, exportClause, name, attributes);
      }
      return inside;
    };
    return (file) => ts.visitEachChild(file, visit, context);
  };
}
