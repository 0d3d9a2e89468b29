/**
 * The program that tslab keeps from cell to cell. TypeScript's usual builder finds out anew for every cell which of
 * all files, types of packages too, leans on which; the kernel asks that of a cell's own local files only.
 */
import type * as TypeScript from 'typescript';
import { isPackageCode } from './package-paths';
import { ts } from './typescript';

/** The part of a program that knows what imports were resolved to. */
interface WithImports {
  forEachResolvedModule(
    each: (found: { readonly resolvedModule?: { readonly resolvedFileName: string } }) => void,
    file: TypeScript.SourceFile,
  ): void;
}

/** Whether a file is compiled with the notebook: the package's own code and declarations are not. */
function isCompiled(file: TypeScript.SourceFile): boolean {
  return !file.isDeclarationFile && !isPackageCode(file.fileName);
}

/** The local files that a cell leans on, of all kinds. */
export function localFiles(program: TypeScript.Program, cell: TypeScript.SourceFile): TypeScript.SourceFile[] {
  const found = new Set<TypeScript.SourceFile>();
  const visit = (file: TypeScript.SourceFile): void => {
    (program as unknown as WithImports).forEachResolvedModule((one) => {
      const next = one.resolvedModule && program.getSourceFile(one.resolvedModule.resolvedFileName);
      if (!next || next === cell || !isCompiled(next) || found.has(next)) return;
      found.add(next);
      visit(next);
    }, file);
  };
  visit(cell);
  return [...found];
}

/** Makes the builder of the next program, on what the one before has read. */
export const createBuilder: TypeScript.CreateProgram<TypeScript.BuilderProgram> = (
  roots,
  options,
  host,
  before,
  errors,
  references,
) => {
  const builder = ts.createAbstractBuilder(roots, options, host, before, errors, references);
  // tslab looks at what a cell declares, which is known once there is a checker.
  builder.getProgram().getTypeChecker();
  // tslab sees to the cell alone: it knows two kinds of local files, of six.
  builder.getAllDependencies = ({ fileName }) => [fileName];
  return builder;
};
