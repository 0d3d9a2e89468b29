/** Where the imports of cells and local files lead, for the type checker and for the code that runs. */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { isPackageCode, packageFile, packageRoot, packageTypes } from './package-paths';
import { resolution } from './project';
import { ts } from './typescript';

type Resolved = TypeScript.ResolvedModuleWithFailedLookupLocations;

export class ModuleResolution {
  /** Local files that run, by importing file and module name. */
  private readonly localFiles = new Map<string, string>();

  /** Finds the file behind a module name, as TypeScript asks for it. */
  resolve(
    name: string,
    importer: string,
    redirect: TypeScript.ResolvedProjectReference | undefined,
    options: TypeScript.CompilerOptions,
    host: TypeScript.ModuleResolutionHost,
  ): Resolved {
    // @types/node declares these. Looking for packages of the same names takes most of a kernel's start.
    if (isBuiltin(name)) return { resolvedModule: undefined };
    if (name === 'unilab' || name.startsWith('unilab/')) {
      const file = name === 'unilab' ? packageTypes() : packageFile(name, ['.d.ts', '.ts']);
      if (file) {
        const extension = file.endsWith('.d.ts') ? ts.Extension.Dts : ts.Extension.Ts;
        return { resolvedModule: { resolvedFileName: file, extension, isExternalLibraryImport: true } };
      }
    }
    const allOptions = { ...options, ...resolution };
    const result = ts.resolveModuleName(name, importer, allOptions, host, undefined, redirect);
    if (result.resolvedModule) {
      // A package of a workspace is found by a link among the packages, and is the author's own code.
      const file = result.resolvedModule.resolvedFileName;
      const resolvedModule = { ...result.resolvedModule, isExternalLibraryImport: file.includes('/node_modules/') };
      this.remember(importer, name, file);
      return { ...result, resolvedModule };
    }
    const isBare = !/^[./]/.test(name);
    if (!isBare) return result;
    // Notebooks in any folder can import the packages that this package depends on.
    return ts.resolveModuleName(name, path.join(packageRoot, 'cell.ts'), allOptions, host, undefined, redirect);
  }

  private remember(importer: string, name: string, file: string): void {
    if (file.includes('/node_modules/') || isPackageCode(file)) return;
    const declared = /^(.*)\.d\.([cm]?)ts$/.exec(file);
    if (!declared) this.localFiles.set(`${importer}\0${name}`, file);
    // What stands beside its declarations is run by Node.js, which knows no names of tsconfig.json.
    const beside = declared && `${declared[1]}.${declared[2]}js`;
    if (beside && existsSync(beside)) this.localFiles.set(`${importer}\0${name}`, beside);
  }

  /** The name that running code must use for a module: a local file goes by its path, whatever tsconfig.json calls it. */
  runtimeName(importer: string, name: string): string {
    return this.localFiles.get(`${importer}\0${name}`) ?? name;
  }
}
