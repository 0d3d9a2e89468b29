/** What is changed in a cell's JavaScript before it runs: stoppable awaits, a real `import()`, names of local modules. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { runtimeGlobal } from '../process/runtime';
import { ts } from './typescript';

/**
 * A transformer of JavaScript modules:
 * - `await x` becomes `await __unilab__.hold(x)`, so that an interrupt stops the cell at its next await;
 * - `for await (const v of x)` goes over `__unilab__.steps(x)`, so that it stops between two steps and closes `x`;
 * - `import(x)` becomes `__unilab__.load(x, require)`, which really imports ESM packages;
 * - module names go through `rename`.
 */
export function rewriteForRuntime(
  rename: (name: string) => string,
): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => {
    const { factory } = context;
    const call = (name: string, ...args: TypeScript.Expression[]): TypeScript.Expression =>
      factory.createCallExpression(
        factory.createPropertyAccessExpression(factory.createIdentifier(runtimeGlobal), name),
        undefined,
        args,
      );
    const renamed = (name: TypeScript.Expression | undefined): TypeScript.Expression | undefined =>
      name && ts.isStringLiteral(name) && rename(name.text) !== name.text
        ? factory.createStringLiteral(rename(name.text))
        : name;

    const visit = (node: TypeScript.Node): TypeScript.Node => {
      const inside = ts.visitEachChild(node, visit, context);
      if (ts.isAwaitExpression(inside)) {
        return factory.updateAwaitExpression(inside, call('hold', inside.expression));
      }
      if (ts.isForOfStatement(inside) && inside.awaitModifier) {
        const { awaitModifier, initializer, expression, statement } = inside;
        return factory.updateForOfStatement(inside, awaitModifier, initializer, call('steps', expression), statement);
      }
      if (ts.isCallExpression(inside) && inside.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [name, ...rest] = inside.arguments;
        return call('load', renamed(name) ?? factory.createVoidZero(), factory.createIdentifier('require'), ...rest);
      }
      if (ts.isImportDeclaration(inside)) {
        const name = renamed(inside.moduleSpecifier) ?? inside.moduleSpecifier;
        if (name === inside.moduleSpecifier) return inside;
        return factory.updateImportDeclaration(
          inside,
          inside.modifiers,
          inside.importClause,
          name,
          inside.assertClause,
        );
      }
      if (ts.isExportDeclaration(inside) && inside.moduleSpecifier) {
        const name = renamed(inside.moduleSpecifier);
        if (name === inside.moduleSpecifier) return inside;
        return factory.updateExportDeclaration(
          inside,
          inside.modifiers,
          inside.isTypeOnly,
          inside.exportClause,
          name,
          inside.assertClause,
        );
      }
      return inside;
    };
    return (file) => ts.visitEachChild(file, visit, context);
  };
}
