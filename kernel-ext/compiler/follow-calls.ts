/** Awaits that an interrupt can end, and asynchronous functions that say when they begin and end. */
import type * as TypeScript from 'typescript';
import { type RuntimeCall, runtimeCall } from './runtime-calls';
import { ts } from './typescript';

/** In each asynchronous function, what the kernel knows of the call. */
const frameName = '__unilab_frame__';

/** The innermost function around a node: whether it is asynchronous, and whether it awaits or yields. */
interface Surrounding {
  readonly isAsync: boolean;
  pauses: boolean;
}

/**
 * A transformer of JavaScript modules:
 * - `await x` becomes `await __unilab__.hold(x, frame)`, so that an interrupt ends the await;
 * - `for await (const v of x)` goes over `__unilab__.steps(x, frame)`, so that it ends between two steps and closes `x`;
 * - asynchronous functions begin with `enter` and end with `leave`, so that an interrupt ends what they call before them.
 */
export function followCalls(): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => {
    const { factory } = context;
    const call = runtimeCall(factory);
    let surrounding: Surrounding = { isAsync: false, pauses: false };
    const frame = (): TypeScript.Expression => {
      surrounding.pauses = true;
      return factory.createIdentifier(frameName);
    };
    const visitFunction = (node: TypeScript.Node, isAsync: boolean): TypeScript.Node => {
      const outer = surrounding;
      surrounding = { isAsync, pauses: false };
      const inside = ts.visitEachChild(node, visit, context);
      const { pauses } = surrounding;
      surrounding = outer;
      return isAsync && pauses ? withFrame(inside as TypeScript.FunctionLikeDeclaration, context, call) : inside;
    };
    const visit = (node: TypeScript.Node): TypeScript.Node => {
      if (ts.isFunctionLike(node)) return visitFunction(node, isAsyncFunction(node));
      const inside = ts.visitEachChild(node, visit, context);
      if (ts.isAwaitExpression(inside))
        return factory.updateAwaitExpression(inside, call('hold', inside.expression, frame()));
      if (ts.isYieldExpression(inside) && surrounding.isAsync) {
        const value = call('pass', inside.expression ?? factory.createVoidZero(), frame());
        return inside.asteriskToken
          ? factory.updateYieldExpression(inside, inside.asteriskToken, value)
          : factory.updateYieldExpression(inside, undefined, value);
      }
      if (ts.isForOfStatement(inside) && inside.awaitModifier) {
        const { awaitModifier, initializer, expression, statement } = inside;
        const steps = call('steps', expression, frame());
        return factory.updateForOfStatement(inside, awaitModifier, initializer, steps, statement);
      }
      return inside;
    };
    return (file) => {
      surrounding = { isAsync: false, pauses: false };
      const inside = ts.visitEachChild(file, visit, context);
      if (!surrounding.pauses) return inside;
      return factory.updateSourceFile(inside, [frameConstant(factory, call('here')), ...inside.statements]);
    };
  };
}

function isAsyncFunction(node: TypeScript.SignatureDeclaration): boolean {
  return (
    ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword)
  );
}

function frameConstant(factory: TypeScript.NodeFactory, value: TypeScript.Expression): TypeScript.Statement {
  const declaration = factory.createVariableDeclaration(frameName, undefined, undefined, value);
  const list = factory.createVariableDeclarationList([declaration], ts.NodeFlags.Const);
  return factory.createVariableStatement(undefined, list);
}

/** `{ a(); }` as `{ const frame = enter(); try { a(); } finally { leave(frame); } }`. */
function withFrame(
  node: TypeScript.FunctionLikeDeclaration,
  context: TypeScript.TransformationContext,
  call: RuntimeCall,
): TypeScript.Node {
  const { body } = node;
  const { factory } = context;
  if (!body) return node;
  const all = ts.isBlock(body) ? body.statements : [factory.createReturnStatement(body)];
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
  return ts.visitEachChild(node, (child) => (child === body ? whole : child), context);
}
