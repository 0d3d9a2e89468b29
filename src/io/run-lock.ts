/**
 * One process at a time writes a run's folder. The system keeps the lock and takes it back when the process ends,
 * however it ends; so nobody has to guess whether a lock is a dead process's. The file `lock` says whose it is.
 */
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import * as path from 'node:path';
import { RunError } from './run-identity';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When it took the folder. */
  readonly since: string;
}

export class RunLock {
  private constructor(private readonly handle: FileHandle) {}

  /**
   * Takes a folder for this process; makes it when it is missing.
   * @param say gets one line when a process left the lock behind as it died. Default `console.error`
   * @throws RunError naming process and folder when it is taken, also by this process
   */
  static async take(folder: string, say: (line: string) => void = console.error): Promise<RunLock> {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, 'lock');
    // The file stays: whoever removed it could remove the one that another process has just locked.
    const handle = await open(file, 'a+');
    try {
      const system = require('fs-native-extensions') as { tryLock(descriptor: number): boolean };
      const taken = system.tryLock(handle.fd);
      const owner = ownerIn(await readFile(file, 'utf8'));
      if (!taken) throw new RunError(`${folder} is being written by ${nameOf(owner)}`);
      if (owner) say(`${folder}: ${nameOf(owner)} ended without closing the run; this process takes over`);
      await handle.truncate(0);
      const own: Owner = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
      await handle.write(`${JSON.stringify(own)}\n`);
      return new RunLock(handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Lets go of the folder. */
  async release(): Promise<void> {
    await this.handle.truncate(0);
    await this.handle.close();
  }
}

/** Undefined when nobody signed, or a process died while it did. */
function ownerIn(text: string): Owner | undefined {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return undefined;
  }
}

function nameOf(owner: Owner | undefined): string {
  if (!owner) return 'another process';
  const { pid, host, since } = owner;
  if (pid === process.pid && host === hostname()) return `this process (${pid}), which must close that run first`;
  return `process ${pid} on ${host} (since ${since})`;
}
