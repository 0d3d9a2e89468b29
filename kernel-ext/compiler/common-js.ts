/**
 * The second compilation: a module of modern JavaScript, cell or local file, becomes CommonJS, with what the kernel adds
 * to running code. Cells and files stay apart: what is known of a file goes with its path.
 */
import type * as TypeScript from 'typescript';
import type { CodeMaps } from './code-map';
import { exportedNames, exportEarly, removeReset } from './early-exports';
import { followCalls } from './follow-calls';
import { rewriteImports } from './rewrite';
import { ts } from './typescript';

/** CommonJS, and what is known of it. */
export interface CommonJs {
  readonly code: string;
  readonly maps?: CodeMaps;
  /** The modules that it loads before its first line, local files by their paths. */
  readonly imports: readonly string[];
  /** Whether it awaits at its top. */
  readonly awaits: boolean;
  /** The names that it exports. */
  readonly exported: readonly string[];
}

/** As tslab has it: no 'use strict' added, and default exports of CommonJS packages as ES modules see them. */
const moduleOptions = {
  module: ts.ModuleKind.CommonJS,
  target: ts.ScriptTarget.ES2022,
  esModuleInterop: true,
  newLine: ts.NewLineKind.LineFeed,
  noImplicitUseStrict: true,
} as TypeScript.CompilerOptions;

const inlineMap = /\n\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/;

function withoutMap(text: string): string {
  return text.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
}

/** Code of the first compilation and the map that stands at its end. */
export function splitMap(text: string): { readonly bare: string; readonly map?: string } {
  const inline = inlineMap.exec(text);
  if (!inline) return { bare: text };
  return { bare: text.slice(0, inline.index), map: Buffer.from(inline[1], 'base64').toString() };
}

export interface CommonJsOptions {
  readonly isCell: boolean;
  /** The file that `import.meta` speaks of. */
  readonly file: string;
  /** The name by which running code asks for a module. */
  readonly rename: (name: string) => string;
}

/** Compiles a module as the first compilation left it. */
export function toCommonJs(text: string, { isCell, file, rename }: CommonJsOptions): CommonJs {
  const { bare, map: first } = splitMap(text);
  const found = { imports: [] as string[], awaits: false, exported: [] as string[] };
  const collect: TypeScript.TransformerFactory<TypeScript.SourceFile> = () => (module) => {
    found.imports = importedNames(module).map(rename);
    found.awaits = awaitsAtTop(module);
    found.exported = exportedNames(module);
    return module;
  };
  const rewrite = [followCalls(), rewriteImports(rename, file, /\.[cm]?jsx?$/.test(file))];
  const compile = (sourceMap: boolean): TypeScript.TranspileOutput =>
    ts.transpileModule(bare, {
      fileName: 'module.js',
      compilerOptions: { ...moduleOptions, sourceMap },
      transformers: {
        // A map is made much later, when other cells have been compiled.
        before: [...(sourceMap ? [] : [collect]), ...rewrite, ...(isCell ? [exportEarly()] : [])],
        after: isCell ? [removeReset()] : [],
      },
    });
  const code = withoutMap(compile(false).outputText);
  // Most code never fails, and the second map takes as long as the code itself.
  const maps = first === undefined ? undefined : { first, second: () => compile(true).sourceMapText ?? '' };
  return { code, maps, ...found };
}

/** JSON as a module. */
export function jsonModule(text: string): CommonJs {
  const code = `module.exports = JSON.parse(${JSON.stringify(text)});\n`;
  return { code, imports: [], awaits: false, exported: [] };
}

function importedNames(file: TypeScript.SourceFile): string[] {
  return file.statements.flatMap((statement) => {
    const from =
      ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement) ? statement.moduleSpecifier : undefined;
    return from && ts.isStringLiteral(from) ? [from.text] : [];
  });
}

/** Whether code awaits outside of all its functions. */
function awaitsAtTop(node: TypeScript.Node): boolean {
  if (ts.isFunctionLike(node) || ts.isClassElement(node)) return false;
  if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)) return true;
  return ts.forEachChild(node, (child) => awaitsAtTop(child) || undefined) ?? false;
}
