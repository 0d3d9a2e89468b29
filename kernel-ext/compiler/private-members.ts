/**
 * What a cell declares is written down as declarations for the cells after it, and TypeScript has no declaration for a
 * class expression with private or protected members (TS4094). Such members are made public.
 */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** The diagnostic that says so. */
export const privateMemberDiagnostic = 4094;

/** The source with public members in class expressions; every character keeps its place. */
export function makeMembersPublic(source: string): string {
  let text = source;
  const open = (node: TypeScript.Node): void => {
    if (!ts.canHaveModifiers(node)) return;
    for (const modifier of ts.getModifiers(node) ?? []) {
      const { kind, end } = modifier;
      if (kind !== ts.SyntaxKind.PrivateKeyword && kind !== ts.SyntaxKind.ProtectedKeyword) continue;
      const start = modifier.getStart(file);
      text = text.slice(0, start) + 'public'.padEnd(end - start) + text.slice(end);
    }
  };
  const visit = (node: TypeScript.Node): void => {
    if (ts.isClassExpression(node)) {
      for (const member of node.members) {
        open(member);
        if (ts.isConstructorDeclaration(member)) member.parameters.forEach(open);
      }
    }
    ts.forEachChild(node, visit);
  };
  const file = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.Latest);
  visit(file);
  return text;
}
