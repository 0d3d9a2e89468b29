/**
 * A cell may end before its end: something throws, or it is interrupted. What it has declared by then is to be there in
 * the next cell, so each name is exported as soon as it has its value, and nothing is written over before.
 */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** The names that a module exports by `export { a, b }`. */
export function exportedNames(file: TypeScript.SourceFile): string[] {
  return file.statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) &&
    !statement.moduleSpecifier &&
    statement.exportClause &&
    ts.isNamedExports(statement.exportClause)
      ? statement.exportClause.elements.map(({ name }) => name.text)
      : [],
  );
}

/** `const a = f(), b = g();` as statements of their own: when `g` throws, `a` has been exported. */
export function splitDeclarations(
  statement: TypeScript.Statement,
  factory: TypeScript.NodeFactory,
): TypeScript.Statement[] {
  if (!ts.isVariableStatement(statement) || statement.declarationList.declarations.length < 2) return [statement];
  const { modifiers, declarationList } = statement;
  return declarationList.declarations.map((declaration) => {
    const list = factory.createVariableDeclarationList([declaration], declarationList.flags);
    return ts.setTextRange(factory.createVariableStatement(modifiers, list), declaration);
  });
}

/** `let a;` as `let a = void 0;`: without a value it would not be exported there. */
function withValue(statement: TypeScript.Statement, factory: TypeScript.NodeFactory): TypeScript.Statement {
  if (!ts.isVariableStatement(statement) || !(statement.declarationList.flags & ts.NodeFlags.Let)) return statement;
  const { declarationList: list } = statement;
  const declarations = list.declarations.map((one) =>
    factory.updateVariableDeclaration(one, one.name, undefined, undefined, one.initializer ?? factory.createVoidZero()),
  );
  return factory.updateVariableStatement(
    statement,
    statement.modifiers,
    factory.updateVariableDeclarationList(list, declarations),
  );
}

/**
 * A transformer of a cell before it becomes CommonJS: functions come first, which nothing in the language can tell, so
 * that they are exported whatever happens later; a `var` in a block or loop is exported where it gets its value.
 */
export function exportEarly(): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => (file) => {
    const { factory } = context;
    const inner = exportVarsInBlocks(context, new Set(exportedNames(file)));
    const statements = file.statements.flatMap((statement) =>
      ts.isVariableStatement(statement)
        ? splitDeclarations(statement, factory).map((one) => withValue(one, factory))
        : [inner(statement) as TypeScript.Statement],
    );
    const functions = statements.filter(ts.isFunctionDeclaration);
    const others = statements.filter((statement) => !ts.isFunctionDeclaration(statement));
    return factory.updateSourceFile(file, [...functions, ...others]);
  };
}

function isVar(node: TypeScript.Node): node is TypeScript.VariableDeclarationList {
  return ts.isVariableDeclarationList(node) && !(node.flags & ts.NodeFlags.BlockScoped);
}

/** A visitor that writes `var a = 1` as `var a = exports.a = 1`, and other forms of `var` with `exports.a = a` behind. */
function exportVarsInBlocks(
  context: TypeScript.TransformationContext,
  exported: ReadonlySet<string>,
): (node: TypeScript.Node) => TypeScript.VisitResult<TypeScript.Node> {
  const { factory } = context;
  const assigned = (name: string, value: TypeScript.Expression): TypeScript.Expression =>
    factory.createAssignment(factory.createPropertyAccessExpression(factory.createIdentifier('exports'), name), value);
  const declaration = (one: TypeScript.VariableDeclaration): TypeScript.VariableDeclaration => {
    const { name, initializer } = one;
    if (!initializer || !ts.isIdentifier(name) || !exported.has(name.text)) return one;
    return factory.updateVariableDeclaration(one, name, undefined, undefined, assigned(name.text, initializer));
  };
  const behind = (names: readonly string[]): TypeScript.Statement[] =>
    names
      .filter((name) => exported.has(name))
      .map((name) => factory.createExpressionStatement(assigned(name, factory.createIdentifier(name))));
  const visit = (node: TypeScript.Node): TypeScript.VisitResult<TypeScript.Node> => {
    if (ts.isFunctionLike(node) || ts.isClassLike(node)) return node;
    const inside = ts.visitEachChild(node, visit, context);
    if (isVar(inside)) return factory.updateVariableDeclarationList(inside, inside.declarations.map(declaration));
    if (ts.isVariableStatement(inside) && isVar(inside.declarationList)) {
      const patterns = inside.declarationList.declarations.filter(({ name }) => !ts.isIdentifier(name));
      return [inside, ...behind(patterns.flatMap(({ name }) => namesIn(name)))];
    }
    if ((ts.isForOfStatement(inside) || ts.isForInStatement(inside)) && isVar(inside.initializer)) {
      const names = inside.initializer.declarations.flatMap(({ name }) => namesIn(name));
      const body = factory.createBlock([...behind(names), inside.statement]);
      return ts.isForOfStatement(inside)
        ? factory.updateForOfStatement(inside, inside.awaitModifier, inside.initializer, inside.expression, body)
        : factory.updateForInStatement(inside, inside.initializer, inside.expression, body);
    }
    return inside;
  };
  return visit;
}

/** The names that a pattern like `{ a, b: [c] }` declares. */
function namesIn(name: TypeScript.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isOmittedExpression(element) ? [] : namesIn(element.name)));
}

/**
 * A transformer of what TypeScript made CommonJS of: without `exports.a = exports.b = void 0` and 'use strict' at its
 * start.
 */
export function removeReset(): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return ({ factory }) =>
    (file) =>
      factory.updateSourceFile(
        file,
        file.statements.filter((statement) => !isReset(statement)),
      );
}

function isReset(statement: TypeScript.Statement): boolean {
  const written = ts.getOriginalNode(statement).pos >= 0;
  if (written || !ts.isExpressionStatement(statement)) return false;
  let value = statement.expression;
  if (ts.isStringLiteral(value)) return value.text === 'use strict';
  if (!ts.isBinaryExpression(value)) return false;
  while (ts.isBinaryExpression(value) && ts.isPropertyAccessExpression(value.left)) {
    const { expression } = value.left;
    if (!ts.isIdentifier(expression) || expression.text !== 'exports') return false;
    value = value.right;
  }
  return ts.isVoidExpression(value);
}
