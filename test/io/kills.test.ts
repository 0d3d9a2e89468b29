import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Rng, startEngine } from '../../src/engine';
import { boundariesOf, killAtBoundaries } from './kills/at-boundaries';
import { killAtRandom } from './kills/at-random';
import { real, toy } from './kills/programs';

const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-kills-'));
before(() => startEngine({ quiet: true, precision: 'float32' }));
after(() => rmSync(scratch, { recursive: true }));

/** A few of what `kills/command.ts` does at length. */
describe('a run that was killed and gone on with comes to the same, bit for bit', () => {
  it('at random moments of `unilab train sync-grpo`', async () => {
    const program = real['sync-grpo'](3);
    const { kills } = await killAtRandom(program, 2, new Rng(3), path.join(scratch, 'real'));
    assert.equal(kills, 2);
  });

  it('at random moments of a supervised run', async () => {
    const { kills } = await killAtRandom(toy('supervised', 40), 3, new Rng(4), path.join(scratch, 'supervised'));
    assert.equal(kills, 3);
  });

  for (const [kind, every] of [
    ['supervised', 12],
    ['sync-grpo', 24],
  ] as const)
    it(`${kind}: before, within and after operations on its files`, async () => {
      const folder = path.join(scratch, `boundaries-${kind}`);
      const all = await boundariesOf(kind, 3, folder);
      for (const way of ['before', 'torn', 'power']) assert.ok(all.some((boundary) => boundary.way === way));
      const some = all.filter((_, i) => i % every === 5);
      assert.equal(await killAtBoundaries(kind, 3, some, folder), some.length);
    });
});
