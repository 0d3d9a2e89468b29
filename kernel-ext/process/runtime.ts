/** What running cells lean on: awaits that an interrupt can stop, real imports, and this package in any folder. */
import { existsSync, readFileSync } from 'node:fs';
import Module, { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { LocalFiles } from './local-files';
import { NativeFiles } from './native-files';
import { renderValue } from './render';
import type { CompiledFile } from '../threads/thread-messages';
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
  /** ES modules that `require` cannot load, by the folder of the file that imports them and their name there. */
  private readonly esModules = new Map<string, Record<string, unknown>>();
  private readonly importers = new Map<string, Importer>();
  private readonly metas = new Map<string, object>();
  private readonly native = new NativeFiles();
  readonly local = new LocalFiles((name, from) => this.preload(name, from));

  constructor(private readonly folder: string) {
    this.hookResolution();
  }

  /** A cell begins: what was edited since the last one is loaded anew. */
  takeEdits(files: readonly CompiledFile[]): void {
    if (this.native.forgetEdited()) {
      this.local.forget();
      for (const key of this.esModules.keys())
        if (!isBare(key.slice(key.indexOf('\0') + 1))) this.esModules.delete(key);
    }
    this.local.update(files);
  }

  /** Loads an ES module beforehand: `require` cannot take one that awaits at its top. */
  private async preload(name: string, from: string): Promise<void> {
    const key = `${from}\0${name}`;
    if (isBuiltin(name) || isOwnName(name) || this.esModules.has(key) || !this.needsImport(name, from)) return;
    this.esModules.set(key, asCommonJs(await this.importFrom(name, from)));
  }

  /** `import(x)` in a cell or a local file. */
  readonly load = async (name: unknown, require: NodeJS.Require): Promise<unknown> => {
    const specifier = name instanceof URL ? name.href : String(name);
    const from = require.resolve.paths('./x')?.[0] ?? this.folder;
    if (this.local.has(specifier)) return namespace(await this.local.import(specifier));
    if (isOwnName(specifier)) return namespace(require(specifier));
    if (isBare(specifier) || isEsModule(require.resolve(specifier))) return this.importFrom(specifier, from);
    return namespace(require(specifier));
  };

  /** `import.meta` of a file, or of a cell, which counts as a file in the notebook's folder. */
  readonly meta = (file: string, require: NodeJS.Require): object => {
    const known = this.metas.get(file);
    if (known) return known;
    const url = pathToFileURL(file).href;
    const resolve = (name: string): string => {
      if (isBuiltin(name)) return name.startsWith('node:') ? name : `node:${name}`;
      if (/^[a-z]+:/i.test(name)) return name;
      return isBare(name) ? pathToFileURL(require.resolve(name)).href : new URL(name, url).href;
    };
    const meta = Object.assign(Object.create(null) as object, {
      dirname: path.dirname(file),
      filename: file,
      resolve,
      url,
    });
    this.metas.set(file, meta);
    return meta;
  };

  private needsImport(name: string, from: string): boolean {
    try {
      return isEsModule(createRequire(path.join(from, '__require__.js')).resolve(name));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
    }
  }

  private importer(folder: string): Importer {
    const importer = this.importers.get(folder) ?? importerFor(folder);
    this.importers.set(folder, importer);
    return importer;
  }

  private async importFrom(name: string, from: string): Promise<Record<string, unknown>> {
    if (!isBare(name)) {
      const file = path.resolve(from, name);
      return this.importer(from)(pathToFileURL(file).href + this.native.suffix(file));
    }
    try {
      return await this.importer(from)(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
      return this.importer(packageRoot)(name).catch(() => {
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
        const found = resolve(request, parent, ...rest);
        if (!isPackagesOwn(parent)) this.native.note(found);
        return found;
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
      (!isPackagesOwn(parent) && this.esModules.get(`${path.dirname(parent?.filename ?? '')}\0${request}`)) ||
      load(request, parent, ...rest);
  }
}

/** Whether a module's name means this package. */
function isOwnName(name: string): boolean {
  return name === 'unilab' || name.startsWith('unilab/');
}

/** What `import(x)` gives for a module that `require` has loaded. */
function namespace(module: unknown): unknown {
  const isEsModule = (module as { __esModule?: boolean } | null)?.__esModule;
  return isEsModule ? module : { ...(module as object), default: module };
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
      meta: modules.meta,
      show: renderValue,
    },
    enumerable: false,
    configurable: true,
  });
}
