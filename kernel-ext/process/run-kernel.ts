/** The kernel in the main thread: its parts, put together. */
import { syncBuiltinESMExports } from 'node:module';
import type { ConnectionInfo } from '../protocol/messages';
import type { Threads } from '../threads/threads';
import { CellRunner } from './cell-runner';
import { hasEnded, parentProcess } from './parent-process';
import { type MimeBundle, storableBundle } from './render';
import { KernelServer } from './server';
import { mapStacks } from './stacks';
import { refuseStandardInput } from './standard-input';
import { routeChildren, routeFileWrites } from './standard-output';
import { tslabJupyter } from './tslab';

/** How often the kernel looks whether its parent still lives, in milliseconds. */
const parentCheckInterval = 1000;

/** Clients first ask a few quick questions; then, or at the first cell, the rest is loaded. In milliseconds. */
const warmUpDelay = 300;

/** process.exit as it was: in a cell it is an error. */
const exit = process.exit.bind(process);
/**
 * Runs the kernel until a client shuts it down. Never returns before.
 * @param giveUp ends the process of a kernel that cannot work
 */
export async function runKernel(
  connection: ConnectionInfo,
  threads: Threads,
  giveUp: (reason: string) => void,
): Promise<number> {
  let end: (status: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => (end = resolve));
  const cells = new CellRunner(process.cwd(), threads);
  const server = new KernelServer(cells, connection, threads.clients, () => end(0));
  mapStacks(cells.compiler.codeMap);
  routeOutput(server);
  routeFailures(cells, server);
  giveCellsTheirGlobals(cells, server);
  watchParent();
  try {
    await server.open();
  } catch (error) {
    // A kernel that cannot hear all its clients say must not live on; whoever started it can start another.
    await server.close();
    giveUp((error as Error).message);
    return new Promise(() => undefined);
  }
  threads.startLanguage(process.cwd());
  setTimeout(() => void cells.warmUp(), warmUpDelay);
  const status = await ended;
  await server.settle();
  await server.close();
  // The last messages leave through ZeroMQ's own thread; timers of cells must not keep the process.
  setTimeout(() => exit(status), 100);
  return new Promise(() => undefined);
}

/** Everything that is written or shown goes to the clients. */
function routeOutput(server: KernelServer): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const decoder = new TextDecoder();
    process[name].write = (
      chunk: string | Uint8Array,
      encoding?: BufferEncoding | ((error?: Error | null) => void),
      callback?: (error?: Error | null) => void,
    ): boolean => {
      server.execution.write(name, typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }));
      const done = typeof encoding === 'function' ? encoding : callback;
      if (done) process.nextTick(done);
      return true;
    };
  }
  routeFileWrites();
  routeChildren(
    (pipes) => server.readChildren(pipes),
    () => server.flush(),
  );
  refuseStandardInput();
  syncBuiltinESMExports();
  // src/display reads this. It may be another copy of the module, so the two share a global symbol.
  const key = Symbol.for('unilab.display');
  const place = globalThis as { [key: symbol]: { transport?: object; live: Set<object> } | undefined };
  place[key] = {
    live: place[key]?.live ?? new Set(),
    transport: {
      show: (bundle: Promise<MimeBundle>, id?: string) => server.execution.show('display_data', bundle, id),
      update: (id: string, bundle: Promise<MimeBundle>) => server.execution.show('update_display_data', bundle, id),
      clear: (wait: boolean) => Promise.resolve(server.execution.clear(wait)),
    },
  };
  // tslab's own display API.
  const tslabDisplay = (shown: { data: MimeBundle; transient?: { display_id?: string } }, update: boolean): void => {
    void server.execution.show(
      update ? 'update_display_data' : 'display_data',
      Promise.resolve(storableBundle(shown.data)),
      shown.transient?.display_id,
    );
  };
  (tslabJupyter as { lastWriteDisplayData: unknown }).lastWriteDisplayData = tslabDisplay;
}

/** What nobody handles fails a cell; it never ends the kernel. */
function routeFailures(cells: CellRunner, server: KernelServer): void {
  process.on('unhandledRejection', (reason) => cells.failUnhandled(reason));
  process.on('uncaughtException', (error) => cells.failUnhandled(error));
  process.on('SIGINT', () => server.interrupt());
  process.exit = (status?: number | string | null) => {
    throw new Error(
      `process.exit(${status ?? ''}) was called in a cell. The kernel goes on; shut it down from the notebook's menu.`,
    );
  };
}

function giveCellsTheirGlobals(cells: CellRunner, server: KernelServer): void {
  const ask = (prompt = '', options: { password?: boolean } = {}): Promise<string> =>
    server.ask(String(prompt), options.password === true);
  const jupyter = {
    get signal(): AbortSignal {
      return cells.gate.signal;
    },
    comms: server.comms,
  };
  for (const [name, value] of Object.entries({ input: ask, jupyter })) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

/** Ends the process when whoever started it is gone. Nobody is left for whom the sockets would have to be closed. */
function watchParent(): void {
  const parent = parentProcess();
  if (parent) setInterval(() => hasEnded(parent) && process.kill(process.pid, 'SIGKILL'), parentCheckInterval).unref();
}
