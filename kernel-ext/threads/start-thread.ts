/** Starts the kernel's helper threads, from compiled code or from the sources. */
import path from 'node:path';
import { type TransferListItem, Worker } from 'node:worker_threads';
import { packageRoot } from '../compiler/package-paths';

/** What a thread ended with that must not end before the process. */
export type OnThreadFailure = (error: Error) => void;

/** Runs a TypeScript file in a thread, which knows no loader of its own. */
const sourceLoader = (file: string): string =>
  `require(${JSON.stringify(path.join(packageRoot, 'node_modules/ts-node'))})` +
  `.register({ transpileOnly: true, project: ${JSON.stringify(path.join(packageRoot, 'tsconfig.json'))} });` +
  `require(${JSON.stringify(file)});`;

/**
 * Starts a thread.
 * @param name the file in this folder, without its extension
 * @param data what the thread has as `workerData`
 */
export function startThread(name: string, data: object, transferList: TransferListItem[]): Worker {
  const fromSource = __filename.endsWith('.ts');
  const file = path.join(__dirname, `${name}${fromSource ? '.ts' : '.js'}`);
  // No flags of the process: neither those of a debugger nor a loader of sources.
  const options = { workerData: data, transferList, execArgv: [] };
  return fromSource ? new Worker(sourceLoader(file), { ...options, eval: true }) : new Worker(file, options);
}
