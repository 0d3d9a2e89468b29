/**
 * The local files that cells import, TypeScript, JavaScript and JSON: compiled in the language thread, run here, each
 * once until one of them is edited. As in Node.js, files may lean on each other in a circle, and may await at their top.
 */
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';
import type { CompiledFile } from '../threads/thread-messages';

/** What a file's code has around it, as in Node.js. */
const parameters = ['exports', 'require', 'module', '__filename', '__dirname'];

/** Makes code that awaits at its top a function; it stands before the first line, and counts as nothing. */
const asyncStart = 'return (async () => {';

type Code = (this: unknown, ...args: unknown[]) => unknown;

/** Loads what is no local file before the code that imports it runs. @param from the folder of the importing file */
export type LoadAhead = (name: string, from: string) => Promise<void>;

/** Where `paths` of Node.js's modules come from. */
interface ModulePaths {
  _nodeModulePaths(folder: string): string[];
}

export class LocalFiles {
  private readonly codes = new Map<string, CompiledFile>();
  private readonly modules = new Map<string, NodeModule>();
  /** Files whose code is awaiting at its top. */
  private readonly loading = new Map<string, Promise<void>>();
  /** Files that will run before what imports them: in a circle, one of them must be imported before it has begun. */
  private readonly ahead = new Map<string, NodeModule>();

  constructor(private readonly loadAhead: LoadAhead) {}

  /** Takes files that are new or have changed. */
  update(files: readonly CompiledFile[]): void {
    for (const one of files) {
      this.codes.set(one.file, one);
      this.modules.delete(one.file);
    }
  }

  /** Every file runs again when it is imported next. */
  forget(): void {
    this.modules.clear();
  }

  has(name: string): boolean {
    return this.codes.has(name);
  }

  /** `require` with local files by their paths. @param plain finds everything else */
  requireBeside(plain: NodeJS.Require): NodeJS.Require {
    return new Proxy(plain, {
      apply: (_, self, args: [string]): unknown =>
        this.codes.has(args[0]) ? this.exports(args[0]) : plain.apply(self, args),
    });
  }

  /** Runs what must have run before code with these imports: files that await, and with them, in order, all others. */
  async prepare(imports: readonly string[], folder: string): Promise<void> {
    const all = this.reachable(imports, folder);
    for (const [name, from] of all.others) await this.loadAhead(name, from);
    if (![...all.files].some((file) => this.codes.get(file)?.awaits)) return;
    const awaiting = [...all.files].filter((file) => this.codes.get(file)?.awaits && !this.modules.has(file));
    for (const file of awaiting) this.ahead.set(file, this.ahead.get(file) ?? new Module(file));
    try {
      for (const file of all.files) await this.load(file);
    } finally {
      for (const file of awaiting) this.ahead.delete(file);
    }
  }

  /** A file's exports, once it has run. */
  async import(file: string): Promise<unknown> {
    await this.prepare([file], path.dirname(file));
    return this.exports(file);
  }

  /** What imports lead to, in the order in which it runs. */
  private reachable(imports: readonly string[], folder: string) {
    const files = new Set<string>();
    const others = new Map<string, string>();
    const seen = new Set<string>();
    const visit = (name: string, from: string): void => {
      const code = this.codes.get(name);
      if (!code) others.set(name, from);
      if (!code || seen.has(name)) return;
      seen.add(name);
      for (const next of code.imports) visit(next, path.dirname(name));
      files.add(name);
    };
    for (const name of imports) visit(name, folder);
    return { files, others };
  }

  private async load(file: string): Promise<void> {
    const code = this.codes.get(file);
    if (!code?.awaits) this.exports(file);
    else if (!this.modules.has(file)) await this.start(code);
    else await this.loading.get(file);
  }

  /** @throws Error for a file that awaits at its top and has not been imported, and what the file's code throws */
  private exports(file: string): unknown {
    const known = this.modules.get(file) ?? this.ahead.get(file);
    if (known) return known.exports;
    const code = this.codes.get(file) as CompiledFile;
    if (code.awaits) throw new Error(`${file} awaits at its top: require() cannot wait for that, import can`);
    void this.start(code);
    return this.modules.get(file)?.exports;
  }

  /** Runs a file. It is known before it has run: files that it imports may import it. */
  private start(code: CompiledFile): Promise<void> {
    const { file } = code;
    const module = this.ahead.get(file) ?? new Module(file);
    const paths = (Module as unknown as ModulePaths)._nodeModulePaths(path.dirname(file));
    Object.assign(module, { filename: file, paths });
    this.modules.set(file, module);
    const failed = (error: unknown): never => {
      this.modules.delete(file);
      this.loading.delete(file);
      throw error;
    };
    const args = [module.exports, this.requireBeside(createRequire(file)), module, file, path.dirname(file)];
    try {
      const result = compile(code).apply(module.exports, args);
      if (!code.awaits) module.loaded = true;
      if (!code.awaits) return Promise.resolve();
      const loaded = (result as Promise<void>).then(() => {
        module.loaded = true;
        this.loading.delete(file);
      }, failed);
      this.loading.set(file, loaded);
      return loaded;
    } catch (error) {
      return failed(error);
    }
  }
}

function compile({ file, code, awaits }: CompiledFile): Code {
  const options = { filename: file, columnOffset: awaits ? -asyncStart.length : 0 };
  return vm.compileFunction(awaits ? `${asyncStart}${code}\n})()` : code, parameters, options) as Code;
}
