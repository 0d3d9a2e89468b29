/**
 * The compiler: the `typescript` package, with what tslab's own fork of TypeScript 5.0 adds. tslab's converter gets this
 * one in the place of its fork, so this must load before it.
 */
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { loadCompiled } from './compiled-module';
import { packageRoot } from './package-paths';

const compiled = loadCompiled(require.resolve('typescript'), path.join(packageRoot, '.cache', 'kernel'));
/** By then the first cells have run, and most that the compiler needs for a cell is compiled. In milliseconds. */
const keepAfter = 5000;
if (!compiled.fromCache) setTimeout(() => void compiled.save(), keepAfter).unref();

/** The compiler as it is. */
export const ts = compiled.module.exports as typeof TypeScript;

/** Parts of the compiler that its types leave out. */
interface Internals {
  readonly Completions: {
    getCompletionsAtPosition(...args: unknown[]): TypeScript.CompletionInfo | undefined;
    getCompletionsAtPositionForTslab?: (...args: unknown[]) => TypeScript.CompletionInfo | undefined;
  };
  readonly SymbolDisplay: {
    getSymbolDisplayPartsDocumentationAndSymbolKind(
      checker: TypeScript.TypeChecker,
      symbol: TypeScript.Symbol,
      file: TypeScript.SourceFile,
      enclosing: TypeScript.Node | undefined,
      node: TypeScript.Node,
    ): Pick<TypeScript.QuickInfo, 'displayParts' | 'documentation' | 'tags'> & {
      symbolKind: TypeScript.ScriptElementKind;
    };
    getSymbolModifiers(checker: TypeScript.TypeChecker, symbol: TypeScript.Symbol): string;
  };
  readonly nullTransformationContext: TypeScript.TransformationContext;
  getTouchingPropertyName(file: TypeScript.SourceFile, position: number): TypeScript.Node;
  getContainerNode(node: TypeScript.Node): TypeScript.Node | undefined;
  createTextSpanFromNode(node: TypeScript.Node, file: TypeScript.SourceFile): TypeScript.TextSpan;
  typeToDisplayParts(
    checker: TypeScript.TypeChecker,
    type: TypeScript.Type,
    enclosing: TypeScript.Node | undefined,
  ): TypeScript.SymbolDisplayPart[];
}
const internals = ts as unknown as Internals;

/** A copy of the compiler's exports whose parts can be replaced; tslab gets this one. */
export const patched: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
for (const name of Object.keys(ts)) {
  Object.defineProperty(patched, name, {
    enumerable: true,
    configurable: true,
    writable: true,
    value: (ts as unknown as Record<string, unknown>)[name],
  });
}

/** All errors in some files. @param isDeclared whether others read a file's declarations, so that it must have some */
export function diagnosticsOf(
  program: TypeScript.Program,
  files: readonly TypeScript.SourceFile[],
  isDeclared: (file: TypeScript.SourceFile) => boolean,
): readonly TypeScript.Diagnostic[] {
  return ts.sortAndDeduplicateDiagnostics(
    files.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
      ...(isDeclared(file) ? program.getDeclarationDiagnostics(file) : []),
    ]),
  );
}

/** What TypeScript tells of the name at a place, as its language service does. */
function quickInfo(
  file: TypeScript.SourceFile,
  checker: TypeScript.TypeChecker,
  _cancel: unknown,
  position: number,
): TypeScript.QuickInfo | undefined {
  const touched = internals.getTouchingPropertyName(file, position);
  if (touched === file) return undefined;
  const isNew = ts.isNewExpression(touched.parent) && touched.pos === touched.parent.pos;
  const node = isNew ? touched.parent.expression : touched;
  const symbol = checker.getSymbolAtLocation(node);
  const textSpan = internals.createTextSpanFromNode(node, file);
  const container = internals.getContainerNode(node);
  if (symbol) {
    const shown = internals.SymbolDisplay.getSymbolDisplayPartsDocumentationAndSymbolKind(
      checker,
      symbol,
      file,
      container,
      node,
    );
    const { symbolKind: kind, displayParts, documentation, tags } = shown;
    const kindModifiers = internals.SymbolDisplay.getSymbolModifiers(checker, symbol);
    return { kind, kindModifiers, textSpan, displayParts, documentation, tags };
  }
  if (!ts.isExpression(node)) return undefined;
  const displayParts = internals.typeToDisplayParts(checker, checker.getTypeAtLocation(node), container);
  return { kind: ts.ScriptElementKind.unknown, kindModifiers: '', textSpan, displayParts };
}

Object.assign(patched, {
  Completions: {
    ...internals.Completions,
    getCompletionsAtPositionForTslab: (...args: unknown[]) =>
      internals.Completions.getCompletionsAtPosition(...args, undefined),
  },
  getDefaultTypeRoots: (folder: string) => ts.getEffectiveTypeRoots({}, { getCurrentDirectory: () => folder }),
  getNullTransformationContext: () => internals.nullTransformationContext,
  // The cells' compiler sets it; tslab takes no name that is not here when it loads.
  getPreEmitDiagnosticsOfFiles: undefined,
  getQuickInfoAtPosition: quickInfo,
});

const forkFile = createRequire(require.resolve('tslab/package.json')).resolve('@tslab/typescript-for-tslab');
const standIn = new Module(forkFile);
Object.assign(standIn, { filename: forkFile, loaded: true, exports: patched });
require.cache[forkFile] = standIn;
