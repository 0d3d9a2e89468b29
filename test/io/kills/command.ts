/**
 * Kills runs with SIGKILL and compares what they come to with a run that nobody disturbed: weights and optimizer bit for
 * bit, no line of metrics lost or doubled, samples and event files the same.
 *
 *   node -r ts-node/register/transpile-only test/io/kills/command.ts [--kills N] [--seed N] [--kind sync-grpo|supervised]
 *     at random moments of `unilab train`, N of each kind (default 20)
 *   ... --boundaries [--every N]
 *     at every operation on files of a toy run (or at each N-th), in every way
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Rng, startEngine } from '../../../src/engine';
import { boundariesOf, killAtBoundaries } from './at-boundaries';
import { killAtRandom } from './at-random';
import { real } from './programs';
import { type RunKind, toyRuns } from './toy-runs';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      steps: { type: 'string', default: '6' },
      kind: { type: 'string' },
      boundaries: { type: 'boolean', default: false },
      every: { type: 'string', default: '1' },
    },
  });
  const kinds = values.kind === undefined ? (Object.keys(toyRuns) as RunKind[]) : [values.kind as RunKind];
  const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-kills-'));
  if (values.boundaries) await startEngine({ quiet: true, precision: 'float32' });
  for (const kind of kinds) {
    const folder = path.join(scratch, kind);
    if (values.boundaries) {
      const all = await boundariesOf(kind, 3, folder);
      const chosen = all.filter((_, i) => i % Number(values.every) === 0);
      console.log(
        `${kind}: ${await killAtBoundaries(kind, 3, chosen, folder, console.log)} of ${all.length} boundaries`,
      );
    } else {
      const rng = new Rng(Number(values.seed)).split(kind);
      const program = real[kind](Number(values.steps));
      const { kills, runs } = await killAtRandom(program, Number(values.kills), rng, folder, console.log);
      console.log(`${program.name}: killed ${kills} times in ${runs} runs; all came to the same`);
    }
  }
  rmSync(scratch, { recursive: true });
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
