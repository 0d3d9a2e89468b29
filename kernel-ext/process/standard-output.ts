/**
 * What goes to file descriptors 1 and 2 past `process.stdout`: by `fs`, and by children with inherited output. Theirs goes
 * through two named pipes that the thread that faces the clients reads, so it is seen while this thread waits for them.
 * What native code of this very process prints stays where the kernel was started: a crash must be told there.
 */
import child_process, { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

type StreamName = 'stdout' | 'stderr';
type Call = (this: unknown, ...args: unknown[]) => unknown;

/** File descriptors for what children print. */
export type ChildPipes = Readonly<Record<StreamName, number>>;

/** Names by which the file system knows the two streams. */
const streamOf = new Map<unknown, StreamName>([
  ...[1, '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'].map((one) => [one, 'stdout'] as const),
  ...[2, '/dev/stderr', '/dev/fd/2', '/proc/self/fd/2'].map((one) => [one, 'stderr'] as const),
]);

/** The bytes that a call of `fs.write` and its like is about: a part of a buffer, or text. */
function bytesOf(data: unknown, rest: readonly unknown[]): Uint8Array {
  if (typeof data === 'string') {
    const encoding = rest.find((one): one is BufferEncoding => typeof one === 'string' && Buffer.isEncoding(one));
    return Buffer.from(data, encoding);
  }
  if (Array.isArray(data)) return Buffer.concat(data.map((one) => bytesOf(one, [])));
  const { buffer, byteOffset, byteLength } = data as Uint8Array;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  const options = (
    typeof rest[0] === 'object' && rest[0] !== null ? rest[0] : { offset: rest[0], length: rest[1] }
  ) as {
    offset?: unknown;
    length?: unknown;
  };
  const offset = typeof options.offset === 'number' ? options.offset : 0;
  return bytes.subarray(offset, typeof options.length === 'number' ? offset + options.length : undefined);
}

/** Sends what `fs` writes to the two streams through them. */
export function routeFileWrites(): void {
  const calls = fs as unknown as Record<string, Call>;
  for (const name of ['writeSync', 'writevSync', 'writeFileSync', 'appendFileSync']) {
    const plain = calls[name];
    calls[name] = function (file, data, ...rest) {
      const stream = streamOf.get(file);
      if (!stream) return plain.call(this, file, data, ...rest);
      const bytes = bytesOf(data, rest);
      process[stream].write(bytes);
      return name.includes('File') ? undefined : bytes.byteLength;
    };
  }
  for (const name of ['write', 'writev', 'writeFile', 'appendFile']) {
    const plain = calls[name];
    calls[name] = function (file, data, ...rest) {
      const stream = streamOf.get(file);
      const done = rest.at(-1);
      if (!stream || typeof done !== 'function') return plain.call(this, file, data, ...rest);
      const bytes = bytesOf(data, rest.slice(0, -1));
      process[stream].write(bytes);
      process.nextTick(done, null, bytes.byteLength, data);
      return undefined;
    };
  }
}

/** Two pipes without a name. @returns what children write to, and what is to be read; undefined where there are no such pipes */
function makePipes(spawnSync: typeof child_process.spawnSync): { write: ChildPipes; read: ChildPipes } | undefined {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'unilab-pipes-'));
  try {
    const [stdout, stderr] = ['stdout', 'stderr'].map((name) => path.join(folder, name));
    if (spawnSync('mkfifo', [stdout, stderr], { stdio: 'ignore' }).status !== 0) return undefined;
    const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;
    // A pipe can be opened for writing once it is for reading. Children's end waits where the pipe is full, ours does not.
    const open = (flags: number): ChildPipes => ({
      stdout: fs.openSync(stdout, flags),
      stderr: fs.openSync(stderr, flags),
    });
    const read = open(O_RDONLY | O_NONBLOCK);
    return { read, write: open(O_WRONLY) };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** `stdio` with the pipes in the places of inherited output, and nothing for inherited input. */
function redirected(stdio: unknown, pipes: () => ChildPipes | undefined): unknown {
  const one = (value: unknown, i: number): unknown => {
    const place = value === 'inherit' ? i : value;
    if (place === 0 || value === process.stdin) return 'ignore';
    if (place === 1 || value === process.stdout) return pipes()?.stdout ?? value;
    if (place === 2 || value === process.stderr) return pipes()?.stderr ?? value;
    return value;
  };
  if (stdio === 'inherit') return ['inherit', 'inherit', 'inherit'].map(one);
  return Array.isArray(stdio) ? stdio.map(one) : stdio;
}

/**
 * Gives children the pipes where they are to inherit the kernel's output.
 * @param onPipes gets the ends to read, before the first such child starts
 * @param flush sends what was written before a child starts
 */
export function routeChildren(onPipes: (pipes: ChildPipes) => void, flush: () => void): void {
  const { spawnSync } = child_process;
  let made: ReturnType<typeof makePipes> | null = null;
  const pipes = (): ChildPipes | undefined => {
    if (made === null) {
      made = process.platform === 'win32' ? undefined : makePipes(spawnSync);
      if (made) onPipes(made.read);
    }
    flush();
    return made?.write;
  };
  const withPipes = (options: unknown): unknown =>
    typeof options === 'object' && options !== null && !Array.isArray(options) && 'stdio' in options
      ? { ...options, stdio: redirected(options.stdio, pipes) }
      : options;
  const children = ChildProcess.prototype as unknown as Record<string, Call>;
  const start = children.spawn;
  children.spawn = function (options) {
    return start.call(this, withPipes(options));
  };
  const calls = child_process as unknown as Record<string, Call>;
  for (const name of ['spawnSync', 'execSync', 'execFileSync']) {
    const plain = calls[name];
    calls[name] = function (...args) {
      return plain.apply(this, args.map(withPipes));
    };
  }
}
