/** One subcommand of `unilab`: a file each, found by name in `main.ts`. */
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
