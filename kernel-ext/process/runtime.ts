/** What running cells lean on: awaits that an interrupt can stop, real imports, and this package in any folder. */
import { existsSync, readFileSync } from 'node:fs';
import Module, { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { renderValue } from './render';
import { packageFile, packageMain, packageRoot } from '../compiler/package-paths';
import type { InterruptGate } from './interrupt-gate';

/** The global object that cells' code, once rewritten, calls. */
export const runtimeGlobal = '__unilab__';

type Importer = (specifier: string) => Promise<Record<string, unknown>>;
type Resolver = (request: string, parent: NodeModule | undefined, ...rest: unknown[]) => string;
type Loader = (request: string, parent: NodeModule | undefined, ...rest: unknown[]) => unknown;
interface ModuleInside {
  new (id: string): { _compile(code: string, file: string): void; exports: unknown; filename: string };
  _resolveFilename: Resolver;
  _load: Loader;
}
const inside = Module as unknown as ModuleInside;

/** A real `import()` that looks for packages from a folder. */
function importerFor(folder: string): Importer {
  const file = path.join(folder, '__import__.js');
  const module = new inside(file);
  module.filename = file;
  module._compile('module.exports = (specifier) => import(specifier)', file);
  return module.exports as Importer;
}

function isBare(specifier: string): boolean {
  return !/^[./]/.test(specifier) && !path.isAbsolute(specifier);
}

/** Whether Node loads a file as an ES module. */
function isEsModule(file: string): boolean {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let folder = path.dirname(file); path.dirname(folder) !== folder; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (existsSync(manifest))
      return (JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }).type === 'module';
  }
  return false;
}

/** A module namespace as compiled CommonJS expects it. */
function asCommonJs(namespace: Record<string, unknown>): Record<string, unknown> {
  const module: Record<string, unknown> = {};
  Object.defineProperty(module, '__esModule', { value: true });
  for (const name of Object.keys(namespace))
    Object.defineProperty(module, name, { enumerable: true, get: () => namespace[name] });
  return module;
}

/** Loading of modules for cells in one folder. */
export class CellModules {
  private readonly esModules = new Map<string, Record<string, unknown>>();
  private readonly importHere: Importer;
  private readonly importFromPackage: Importer;
  private readonly requireHere: NodeJS.Require;

  constructor(folder: string) {
    this.importHere = importerFor(folder);
    this.importFromPackage = importerFor(packageRoot);
    this.requireHere = createRequire(path.join(folder, '__require__.js'));
    this.hookResolution();
  }

  /** Loads the ES modules among a cell's imports beforehand: `require` cannot take those that await at their top. */
  async preload(imports: readonly string[]): Promise<void> {
    for (const name of imports) {
      if (!isBare(name) || isBuiltin(name) || name.startsWith('unilab') || this.esModules.has(name)) continue;
      if (this.needsImport(name)) this.esModules.set(name, asCommonJs(await this.importAnywhere(name)));
    }
  }

  /** `import(x)` in a cell. */
  readonly load = async (name: unknown, require: NodeJS.Require): Promise<unknown> => {
    const specifier = String(name);
    const ownCode = specifier === 'unilab' || specifier.startsWith('unilab/');
    if (ownCode || (!isBare(specifier) && !specifier.endsWith('.mjs'))) {
      const module: unknown = require(specifier);
      if ((module as { __esModule?: boolean } | null)?.__esModule) return module;
      return { ...(module as object), default: module };
    }
    if (!isBare(specifier)) return this.importHere(pathToFileURL(this.requireHere.resolve(specifier)).href);
    return this.importAnywhere(specifier);
  };

  private needsImport(name: string): boolean {
    try {
      return isEsModule(this.requireHere.resolve(name));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
    }
  }

  private async importAnywhere(name: string): Promise<Record<string, unknown>> {
    try {
      return await this.importHere(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
      return this.importFromPackage(name).catch(() => {
        throw error;
      });
    }
  }

  private hookResolution(): void {
    const resolve = inside._resolveFilename.bind(inside);
    const load = inside._load.bind(inside);
    const packageParent = {
      id: packageRoot,
      filename: path.join(packageRoot, 'cell.js'),
      paths: [path.join(packageRoot, 'node_modules')],
    };
    const isPackagesOwn = (parent: NodeModule | undefined): boolean =>
      parent?.filename?.includes('/node_modules/') ?? true;
    inside._resolveFilename = (request, parent, ...rest) => {
      if (request === 'unilab') return ensureTypeScriptLoader(packageMain());
      if (request.startsWith('unilab/')) {
        const file = packageFile(request, ['.js', '.ts']);
        if (file) return ensureTypeScriptLoader(file);
      }
      try {
        return resolve(request, parent, ...rest);
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
        if (!missing || !isBare(request) || isPackagesOwn(parent)) throw error;
        try {
          return resolve(request, packageParent as unknown as NodeModule, ...rest);
        } catch {
          throw error;
        }
      }
    };
    inside._load = (request, parent, ...rest) =>
      (!isPackagesOwn(parent) && this.esModules.get(request)) || load(request, parent, ...rest);
  }
}

/** Running TypeScript sources needs ts-node, once. */
function ensureTypeScriptLoader(file: string): string {
  if (file.endsWith('.ts') && !require.extensions['.ts']) {
    const tsNode = createRequire(path.join(packageRoot, 'package.json'))('ts-node') as typeof import('ts-node');
    tsNode.register({ transpileOnly: true, project: path.join(packageRoot, 'tsconfig.json') });
  }
  return file;
}

/** Puts what rewritten code calls where it finds it. */
export function installRuntime(gate: InterruptGate, modules: CellModules): void {
  Object.defineProperty(globalThis, runtimeGlobal, {
    value: {
      here: gate.here,
      enter: gate.enter,
      leave: gate.leave,
      hold: gate.hold,
      pass: gate.pass,
      steps: gate.steps,
      load: modules.load,
      show: renderValue,
    },
    enumerable: false,
    configurable: true,
  });
}
