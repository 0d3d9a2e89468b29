/** Standard input of cells: nobody types there, so whatever reads it learns at once what to use in its place. */
import fs from 'node:fs';
import { Readable } from 'node:stream';

/** Names by which the file system knows standard input. */
const paths = new Set<unknown>([0, '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0']);

function failure(): Error {
  return new Error(
    "a notebook has no standard input; ask the person at the client: const answer = await input('name? ')",
  );
}

/** `process.stdin`: the first who reads gets the error. */
function guard(): Readable {
  const stream = new Readable({
    read() {
      this.destroy(failure());
    },
  });
  const same = (): Readable => stream;
  return Object.assign(stream, { fd: 0, isTTY: false, ref: same, unref: same });
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** Makes every way to read standard input fail with that error. */
export function refuseStandardInput(): void {
  let current = guard();
  Object.defineProperty(process, 'stdin', {
    configurable: true,
    enumerable: true,
    get: () => (current = current.destroyed ? guard() : current),
  });
  const calls = fs as unknown as Record<string, Call>;
  for (const name of ['readSync', 'readvSync', 'readFileSync']) {
    const plain = calls[name];
    calls[name] = function (file, ...rest) {
      if (paths.has(file)) throw failure();
      return plain.call(this, file, ...rest);
    };
  }
  for (const name of ['read', 'readv', 'readFile']) {
    const plain = calls[name];
    calls[name] = function (file, ...rest) {
      const done = rest.at(-1);
      if (!paths.has(file) || typeof done !== 'function') return plain.call(this, file, ...rest);
      process.nextTick(done, failure());
      return undefined;
    };
  }
}
