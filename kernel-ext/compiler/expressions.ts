/** Expressions that a debugger evaluates, and the code around the places where it stops. */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** TypeScript as the JavaScript that V8 evaluates, without a semicolon at its end: it may become part of more. */
export function withoutTypes(code: string): string {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, removeComments: true },
  });
  return outputText
    .replace(/^"use strict";\s*/, '')
    .trim()
    .replace(/;$/, '');
}

/** Whether code at a place is inside of a `try` block that has a `catch`. @param line from 0, as `column` */
export function isGuarded(code: string, line: number, column: number): boolean {
  const file = ts.createSourceFile('code.js', code, ts.ScriptTarget.ESNext, true);
  const at = file.getPositionOfLineAndCharacter(line, column);
  const contains = (node: TypeScript.Node): boolean => node.pos <= at && at < node.end;
  const guards = (node: TypeScript.Node): boolean =>
    contains(node) &&
    ((ts.isTryStatement(node) && node.catchClause !== undefined && contains(node.tryBlock)) ||
      (ts.forEachChild(node, (child) => guards(child) || undefined) ?? false));
  return guards(file);
}
