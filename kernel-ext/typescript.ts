/** tslab's TypeScript, with the doors through which the kernel reaches into it. Must load before tslab's converter. */
import { createRequire } from 'node:module';
import type * as TypeScript from '@tslab/typescript-for-tslab';

const tslabRequire = createRequire(require.resolve('tslab/package.json'));
const file = tslabRequire.resolve('@tslab/typescript-for-tslab');

/** The compiler as it is. */
export const ts = tslabRequire(file) as typeof TypeScript;

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
const cached = require.cache[file];
if (!cached) throw new Error(`tslab's TypeScript did not load from ${file}`);
cached.exports = patched;
