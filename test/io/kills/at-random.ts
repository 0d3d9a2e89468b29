/** Runs that are killed at random moments, and gone on with until they are finished. */
import assert from 'node:assert/strict';
import path from 'node:path';
import type { Rng } from '../../../src/engine';
import { finishedRun } from './finished-run';
import { execute, type Program } from './programs';

export interface RandomKills {
  readonly kills: number;
  /** Runs that were killed at least once and then finished, each compared with the run that nobody killed. */
  readonly runs: number;
}

/**
 * Kills a program so many times, at moments drawn from as long as it runs undisturbed. A run that is finished before is
 * compared, and another one begun.
 * @param scratch an empty folder
 * @throws AssertionError for anything that differs from the undisturbed run
 */
export async function killAtRandom(
  program: Program,
  count: number,
  rng: Rng,
  scratch: string,
  say: (line: string) => void = () => undefined,
): Promise<RandomKills> {
  const whole = path.join(scratch, 'whole', 'run');
  const { seconds } = await execute(program, whole);
  const expected = finishedRun(whole);
  say(`${program.name}: ${seconds.toFixed(1)} s undisturbed, ${expected.lines.length} steps`);
  let kills = 0;
  let runs = 0;
  while (kills < count) {
    const folder = path.join(scratch, `killed-${runs}`, 'run');
    const before = kills;
    while (kills < count) {
      const moment = rng.uniform() * seconds;
      if (!(await execute(program, folder, moment)).killed) break;
      kills++;
      say(`${program.name}: kill ${kills} after ${moment.toFixed(2)} s`);
    }
    if (kills === count) await execute(program, folder);
    assert.deepEqual(finishedRun(folder), expected, folder);
    if (kills > before) runs++;
  }
  return { kills, runs };
}
