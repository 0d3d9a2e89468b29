/**
 * The program that tslab keeps from cell to cell. TypeScript's usual builder finds out anew for every cell which of
 * all files, types of packages too, leans on which; tslab asks that of a cell's own local files only.
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

/** The local files that a file leans on, itself first. */
function localDependencies(program: TypeScript.Program, source: TypeScript.SourceFile): string[] {
  const found = new Set([source.fileName]);
  const visit = (file: TypeScript.SourceFile): void => {
    (program as unknown as WithImports).forEachResolvedModule((one) => {
      const next = one.resolvedModule && program.getSourceFile(one.resolvedModule.resolvedFileName);
      if (!next || !isCompiled(next) || found.has(next.fileName)) return;
      found.add(next.fileName);
      visit(next);
    }, file);
  };
  visit(source);
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
  builder.getAllDependencies = (source) => localDependencies(builder.getProgram(), source);
  return builder;
};
