/** What is changed in a cell's JavaScript before it runs: stoppable awaits, a real `import()`, names of local modules. */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { runtimeGlobal } from '../process/runtime';
import { ts } from './typescript';

/** In each asynchronous function, what the kernel knows of the call. */
const frameName = '__unilab_frame__';

/**
 * A transformer of JavaScript modules:
 * - `await x` becomes `await __unilab__.hold(x)`, so that an interrupt ends the await;
 * - `for await (const v of x)` goes over `__unilab__.steps(x)`, so that it ends between two steps and closes `x`;
 * - asynchronous functions say when they begin and end, so that an interrupt ends what they call before themselves;
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

    /** Of the innermost function around the node being visited: whether it is asynchronous, and awaits or yields. */
    let inFunction = { isAsync: false, pauses: false };
    const frame = (): TypeScript.Expression => {
      inFunction.pauses = true;
      return factory.createIdentifier(frameName);
    };
    const visitFunction = (node: TypeScript.FunctionLikeDeclaration): TypeScript.Node => {
      const outer = inFunction;
      inFunction = { isAsync: (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Async) !== 0, pauses: false };
      const inside = ts.visitEachChild(node, visit, context) as TypeScript.FunctionLikeDeclaration;
      const { isAsync, pauses } = inFunction;
      inFunction = outer;
      return isAsync && pauses ? withFrame(inside, factory, call) : inside;
    };
    const visit = (node: TypeScript.Node): TypeScript.Node => {
      if (ts.isFunctionLike(node) && 'body' in node) return visitFunction(node);
      const inside = ts.visitEachChild(node, visit, context);
      if (ts.isAwaitExpression(inside)) {
        return factory.updateAwaitExpression(inside, call('hold', inside.expression, frame()));
      }
      if (ts.isYieldExpression(inside) && inFunction.isAsync) {
        const value = call('pass', inside.expression ?? factory.createVoidZero(), frame());
        return factory.updateYieldExpression(inside, inside.asteriskToken, value);
      }
      if (ts.isForOfStatement(inside) && inside.awaitModifier) {
        const { awaitModifier, initializer, expression, statement } = inside;
        const steps = call('steps', expression, frame());
        return factory.updateForOfStatement(inside, awaitModifier, initializer, steps, statement);
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
    return (file) => {
      inFunction = { isAsync: false, pauses: false };
      const inside = ts.visitEachChild(file, visit, context);
      if (!inFunction.pauses) return inside;
      return factory.updateSourceFile(inside, [frameConstant(factory, call('here')), ...inside.statements]);
    };
  };
}

function frameConstant(factory: TypeScript.NodeFactory, value: TypeScript.Expression): TypeScript.Statement {
  const declaration = factory.createVariableDeclaration(frameName, undefined, undefined, value);
  return factory.createVariableStatement(
    undefined,
    factory.createVariableDeclarationList([declaration], ts.NodeFlags.Const),
  );
}

/** `{ a(); }` as `{ const frame = enter(); try { a(); } finally { leave(frame); } }`. */
function withFrame(
  node: TypeScript.FunctionLikeDeclaration,
  factory: TypeScript.NodeFactory,
  call: (name: string, ...args: TypeScript.Expression[]) => TypeScript.Expression,
): TypeScript.Node {
  const { body } = node;
  if (!body) return node;
  const all = ts.isBlock(body) ? body.statements : [factory.createReturnStatement(body as TypeScript.Expression)];
  const first = all.findIndex((one) => !(ts.isExpressionStatement(one) && ts.isStringLiteral(one.expression)));
  const directives = first < 0 ? all : all.slice(0, first);
  const left = factory.createExpressionStatement(call('leave', factory.createIdentifier(frameName)));
  const whole = factory.createBlock([
    ...directives,
    frameConstant(factory, call('enter')),
    factory.createTryStatement(
      factory.createBlock(all.slice(directives.length)),
      undefined,
      factory.createBlock([left]),
    ),
  ]);
  return withBody(node, whole, factory);
}

function withBody(
  node: TypeScript.FunctionLikeDeclaration,
  body: TypeScript.Block,
  factory: TypeScript.NodeFactory,
): TypeScript.Node {
  if (ts.isArrowFunction(node))
    return factory.updateArrowFunction(
      node,
      node.modifiers,
      undefined,
      node.parameters,
      undefined,
      node.equalsGreaterThanToken,
      body,
    );
  const { modifiers, parameters } = node;
  if (ts.isFunctionDeclaration(node))
    return factory.updateFunctionDeclaration(
      node,
      modifiers as TypeScript.NodeArray<TypeScript.ModifierLike>,
      node.asteriskToken,
      node.name,
      undefined,
      parameters,
      undefined,
      body,
    );
  if (ts.isFunctionExpression(node))
    return factory.updateFunctionExpression(
      node,
      node.modifiers,
      node.asteriskToken,
      node.name,
      undefined,
      parameters,
      undefined,
      body,
    );
  if (ts.isMethodDeclaration(node))
    return factory.updateMethodDeclaration(
      node,
      modifiers as TypeScript.NodeArray<TypeScript.ModifierLike>,
      node.asteriskToken,
      node.name,
      undefined,
      undefined,
      parameters,
      undefined,
      body,
    );
  return node;
}
