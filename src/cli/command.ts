/** One subcommand of `unilab`: a file each, found by name in `main.ts`. */
import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import path from 'node:path';

export interface Command {
  /** One line for `unilab help`. */
  readonly summary: string;
  /** What `unilab NAME --help` prints. */
  readonly usage: string;
  /** Runs it. @returns the exit status: 0 done, 1 it failed, 2 it was called wrongly */
  run(args: readonly string[]): Promise<number>;
}

/** Called wrongly: printed with the usage line, exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Makes the folder of a file that is written at the end: what cannot be written is told before minutes are spent.
 * @param file of the option `--out`, or nothing
 * @throws UsageError where nothing can be written
 */
export async function placeFor(file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const folder = path.dirname(path.resolve(file));
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new UsageError(`--out: nothing can be written into ${folder}: ${(error as Error).message}`);
  }
}
