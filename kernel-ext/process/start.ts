/** Starts the kernel in this process. Only what clients wait for is loaded at once. */
import { readFileSync } from 'node:fs';
import type { ConnectionInfo } from '../protocol/messages';
import { Threads } from '../threads/threads';

/** process.exit as it was: in a cell it is an error. */
const exit = process.exit.bind(process);
/** The kernel's own words, to whoever started it: cells' stderr goes to the clients. */
const writeToStarter = process.stderr.write.bind(process.stderr);

/** Ends a kernel that cannot work. */
function giveUp(reason: string): void {
  writeToStarter(`unilab kernel: ${reason}\n`, () => exit(1));
}

/**
 * Runs the kernel until a client shuts it down. Never returns before.
 * @param connectionFile the JSON file that names ports and key
 */
export function startKernel(connectionFile: string): Promise<number> {
  const connection = JSON.parse(readFileSync(connectionFile, 'utf8')) as ConnectionInfo;
  const threads = new Threads(connection, ({ message }) => giveUp(`a thread of the kernel failed: ${message}`));
  // Clients may be answered, and interrupt, before the rest is there.
  const nothingToInterrupt = (): void => undefined;
  process.on('SIGINT', nothingToInterrupt);
  const { runKernel } = require('./run-kernel') as typeof import('./run-kernel');
  const done = runKernel(connection, threads, giveUp);
  process.off('SIGINT', nothingToInterrupt);
  return done;
}
