/** tslab's TypeScript, with the doors through which the kernel reaches into it. Must load before tslab's converter. */
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { loadCompiled } from './compiled-module';
import { packageRoot } from './package-paths';

const tslabRequire = createRequire(require.resolve('tslab/package.json'));
const file = tslabRequire.resolve('@tslab/typescript-for-tslab');

const compiled = loadCompiled(file, path.join(packageRoot, '.cache', 'kernel'));
/** By then the first cells have run, and most that the compiler needs for a cell is compiled. In milliseconds. */
const keepAfter = 5000;
if (!compiled.fromCache) setTimeout(() => void compiled.save(), keepAfter).unref();

/** The compiler as it is. */
export const ts = compiled.module.exports as typeof TypeScript;

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
compiled.module.exports = patched;
