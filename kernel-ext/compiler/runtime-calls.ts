/** Calls of the kernel's runtime in the code of cells. */
import type * as TypeScript from 'typescript';
import { runtimeGlobal } from '../process/runtime';

/** Makes `__unilab__.name(...args)`. */
export type RuntimeCall = (name: string, ...args: TypeScript.Expression[]) => TypeScript.Expression;

export function runtimeCall(factory: TypeScript.NodeFactory): RuntimeCall {
  return (name, ...args) =>
    factory.createCallExpression(
      factory.createPropertyAccessExpression(factory.createIdentifier(runtimeGlobal), name),
      undefined,
      args,
    );
}
