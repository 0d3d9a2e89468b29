/** A run that is killed at every operation on its files in turn, each time from its beginning. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { finishedRun } from './finished-run';
import { execute, toy } from './programs';
import { type RunKind, toyRuns } from './toy-runs';

/** `before` an operation, in its middle (`torn`), or before it with what was not synced lost (`power`). */
export type Way = 'before' | 'torn' | 'power';

export interface Boundary {
  /** From 1. */
  readonly number: number;
  /** `rename checkpoints/...` */
  readonly operation: string;
  readonly way: Way;
}

/**
 * Every boundary of a run: all operations, as they come undisturbed. Of a series of writes to one file, which differ in
 * its length alone, the first and the last.
 * @param scratch the run is made there
 */
export async function boundariesOf(kind: RunKind, steps: number, scratch: string): Promise<Boundary[]> {
  mkdirSync(scratch, { recursive: true });
  const log = path.join(scratch, 'operations');
  const folder = path.join(scratch, 'counted', 'run');
  await execute(toy(kind, steps), folder, { KILL_UNDER: folder, KILL_LOG: log });
  const operations = readFileSync(log, 'utf8').trim().split('\n');
  return operations.flatMap((operation, i) => {
    const at = (index: number) => operations[index] as string | undefined;
    if (operation === at(i - 1) && operation === at(i + 1)) return [];
    const hasHalf = /^(write|rm) /.test(operation);
    const ways: readonly Way[] = hasHalf ? ['before', 'torn', 'power'] : ['before', 'power'];
    return ways.map((way) => ({ number: i + 1, operation, way }));
  });
}

/**
 * Kills a run at each of these boundaries, goes on with it in this process, and compares what it comes to.
 * @returns how many were killed
 * @throws Error naming the boundary
 */
export async function killAtBoundaries(
  kind: RunKind,
  steps: number,
  boundaries: readonly Boundary[],
  scratch: string,
  say: (line: string) => void = () => undefined,
): Promise<number> {
  const whole = path.join(scratch, 'whole', 'run');
  await toyRuns[kind](whole, steps);
  const expected = finishedRun(whole);
  for (const { number, operation, way } of boundaries) {
    const folder = path.join(scratch, `${way}-${number}`, 'run');
    const at = { KILL_UNDER: folder, KILL_AT: String(number), KILL_HOW: way };
    try {
      const { killed } = await execute(toy(kind, steps), folder, at);
      assert.ok(killed, 'it was killed');
      await toyRuns[kind](folder, steps);
      assert.deepEqual(finishedRun(folder), expected);
    } catch (error) {
      const message = `${kind}, killed at operation ${number} (${operation}), ${way}: ${(error as Error).message}`;
      throw new Error(message, { cause: error });
    }
    say(`${kind}: ${way} ${operation}: the same`);
    if (existsSync(folder)) rmSync(path.dirname(folder), { recursive: true });
  }
  return boundaries.length;
}
