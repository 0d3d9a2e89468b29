/** What is changed in a cell's JavaScript says of modules before it runs: a real `import()`, local paths, `import.meta`. */
import type * as TypeScript from 'typescript';
import { runtimeCall } from './runtime-calls';
import { ts } from './typescript';

/**
 * A transformer of JavaScript modules:
 * - `import(x)` becomes `__unilab__.load(x, require)`, which really imports ESM packages;
 * - `import.meta` becomes `__unilab__.meta(file, require)`, for CommonJS has none;
 * - module names go through `rename`.
 * @param isScript whether the author wrote JavaScript, where TypeScript takes `require('x')` for an import
 */
export function rewriteImports(
  rename: (name: string) => string,
  file: string,
  isScript: boolean,
): TypeScript.TransformerFactory<TypeScript.SourceFile> {
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
      if (ts.isMetaProperty(inside) && inside.keywordToken === ts.SyntaxKind.ImportKeyword) {
        const required = factory.createIdentifier('require');
        return runtimeCall(factory)('meta', factory.createStringLiteral(file), required);
      }
      if (isScript && ts.isCallExpression(inside) && isRequire(inside.expression)) {
        const [name, ...rest] = inside.arguments;
        if (name) return factory.updateCallExpression(inside, inside.expression, undefined, [renamed(name), ...rest]);
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

function isRequire(node: TypeScript.Expression): boolean {
  return ts.isIdentifier(node) && node.text === 'require';
}
