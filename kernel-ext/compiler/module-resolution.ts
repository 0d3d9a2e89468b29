/** Where the imports of cells and local files lead, for the type checker and for the code that runs. */
import { isBuiltin } from 'node:module';
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { packageFile, packageRoot, packageTypes } from './package-paths';
import { resolution } from './project';
import { ts } from './typescript';

type Resolved = TypeScript.ResolvedModuleWithFailedLookupLocations;

export class ModuleResolution {
  /** Local TypeScript files by importing file and module name. */
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
      this.remember(importer, name, result.resolvedModule);
      return result;
    }
    const isBare = !/^[./]/.test(name);
    if (!isBare) return result;
    // Notebooks in any folder can import the packages that this package depends on.
    return ts.resolveModuleName(name, path.join(packageRoot, 'cell.ts'), allOptions, host, undefined, redirect);
  }

  private remember(importer: string, name: string, module: TypeScript.ResolvedModule): void {
    const file = module.resolvedFileName;
    const isCompiled = /\.[cm]?tsx?$/.test(file) && !/\.d\.[cm]?ts$/.test(file);
    const isLocal = !module.isExternalLibraryImport && !file.includes('/node_modules/');
    if (isCompiled && isLocal) this.localFiles.set(`${importer}\0${name}`, file);
  }

  /** The name that running code must use for a module: local TypeScript goes by its path, whatever tsconfig calls it. */
  runtimeName(importer: string, name: string): string {
    const file = this.localFiles.get(`${importer}\0${name}`);
    if (!file) return name;
    const relative = path.relative(path.dirname(importer), file).replace(/\.[cm]?tsx?$/, '.js');
    return relative.startsWith('.') ? relative : `./${relative}`;
  }
}
