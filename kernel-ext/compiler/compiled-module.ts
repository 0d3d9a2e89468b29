/** Large modules in V8's compiled form, kept from one start to the next: half of their loading time is compiling. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';

export interface CompiledModule {
  readonly module: NodeModule;
  /** Whether a kept form was used. */
  readonly fromCache: boolean;
  /** Keeps the form for the next start, with every function compiled so far. What cannot be written is left out. */
  readonly save: () => Promise<void>;
}

/** Length of the SHA-1 before the kept form: V8 notices neither a changed byte nor another source of equal length. */
const digestLength = 20;

function digest(source: string, form: Buffer): Buffer {
  return createHash('sha1').update(source).update(form).digest();
}

/** The kept form, or undefined where there is none, it is damaged, or made from another source. */
function readCache(place: string, source: string): Buffer | undefined {
  try {
    const data = readFileSync(place);
    const form = data.subarray(digestLength);
    return digest(source, form).equals(data.subarray(0, digestLength)) ? form : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Loads a CommonJS module as `require` does, and puts it where `require` finds it.
 * @param file its absolute path
 * @param folder where compiled forms are kept, one for each version of Node.js
 */
export function loadCompiled(file: string, folder: string): CompiledModule {
  const { size, mtimeMs } = statSync(file);
  const source = [file, size, mtimeMs].join('\0');
  const place = path.join(folder, `${path.basename(file, '.js')}-${process.version}-${process.arch}.bin`);
  const cachedData = readCache(place, source);
  const script = new vm.Script(Module.wrap(readFileSync(file, 'utf8')), { filename: file, cachedData });
  const module = new Module(file);
  const requireFrom = createRequire(file);
  Object.assign(module, { filename: file, require: requireFrom });
  require.cache[file] = module;
  const run = script.runInThisContext() as (this: unknown, ...args: unknown[]) => void;
  run.call(module.exports, module.exports, requireFrom, module, file, path.dirname(file));
  module.loaded = true;
  const save = async (): Promise<void> => {
    const { writeFileAtomic } = require('../../src/io/write-file') as typeof import('../../src/io/write-file');
    try {
      const form = script.createCachedData();
      mkdirSync(folder, { recursive: true });
      await writeFileAtomic(place, Buffer.concat([digest(source, form), form]));
    } catch {
      // a package that cannot be written to is as good, only slower to start
    }
  };
  return { module, fromCache: cachedData !== undefined && !script.cachedDataRejected, save };
}
