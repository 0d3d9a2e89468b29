/** The programs of `rl/`, each a process of its own: they choose engines, and see the library as it was compiled. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

const folder = path.join(__dirname, 'rl');
const programs = readdirSync(folder).filter((name) => /^\d\d-.*\.[cm]js$/.test(name));

describe('cases of the training core, the models and the recipes', () => {
  it('are all there', () => {
    const numbers = programs.map((name) => Number(name.slice(0, 2)));
    assert.deepEqual(
      numbers,
      Array.from({ length: 24 }, (_, i) => i + 1),
    );
  });

  for (const name of programs) {
    it(name, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(folder, name)], {
        encoding: 'utf8',
        timeout: 600_000,
      });
      assert.equal(status, 0, `${stdout}\n${stderr}`);
    });
  }
});
