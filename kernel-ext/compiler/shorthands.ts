/**
 * tslab reaches variables of earlier cells by putting `exports.` before their names, everywhere but in `{ name }`: there
 * the name stands for a property too, and plain tslab leaves it as it is, which fails when the cell runs.
 */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** The file in which tslab declares what earlier cells have defined. */
const EARLIER_CELLS = '__prev__.d.ts';

/**
 * tslab takes every name that earlier cells declare for a variable of theirs; what they put into `declare global` is none.
 * While a cell is written, such names have no declaration.
 * @returns makes them known again
 */
export function hideGlobals(checker: TypeScript.TypeChecker): () => void {
  const symbolAt = checker.getSymbolAtLocation.bind(checker);
  const isGlobal = (node: TypeScript.Node | undefined): boolean =>
    node !== undefined &&
    ((node.flags & ts.NodeFlags.GlobalAugmentation) !== 0 || (!ts.isSourceFile(node) && isGlobal(node.parent)));
  checker.getSymbolAtLocation = (node) => {
    const symbol = symbolAt(node);
    return symbol?.declarations?.some(isGlobal) ? undefined : symbol;
  };
  return () => (checker.getSymbolAtLocation = symbolAt);
}

/** Writes `{ name }` of an earlier cell's variable as `{ name: exports.name }`, also in destructuring assignments. */
export function expandShorthands(
  checker: TypeScript.TypeChecker,
): TypeScript.TransformerFactory<TypeScript.SourceFile> {
  return (context) => {
    const { factory } = context;
    const isEarlier = (node: TypeScript.ShorthandPropertyAssignment): boolean =>
      checker
        .getShorthandAssignmentValueSymbol(node)
        ?.declarations?.some((declaration) => declaration.getSourceFile().fileName.endsWith(`/${EARLIER_CELLS}`)) ??
      false;
    const visit = (node: TypeScript.Node): TypeScript.Node => {
      if (!ts.isShorthandPropertyAssignment(node) || !isEarlier(node)) return ts.visitEachChild(node, visit, context);
      const variable = factory.createPropertyAccessExpression(factory.createIdentifier('exports'), node.name.text);
      const fallback = node.objectAssignmentInitializer;
      const value = fallback
        ? factory.createAssignment(variable, ts.visitNode(fallback, visit) as TypeScript.Expression)
        : variable;
      return factory.createPropertyAssignment(node.name.text, value);
    };
    return (file) => ts.visitEachChild(file, visit, context);
  };
}
