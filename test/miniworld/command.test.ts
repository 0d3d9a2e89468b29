import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { command } from '../../src/cli/data';
import { UsageError } from '../../src/cli/command';
import { readX2xRft } from '../../src/data';
import { collectItems } from '../../src/data/items';

it('scenes writes what readX2xRft reads; the same seed the same images', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'unilab-data-'));
  try {
    const run = (name: string, seed: string) =>
      command.run(['scenes', '--count', '3', '--out', path.join(folder, name), '--seed', seed]);
    for (const [name, seed] of [
      ['a', '5'],
      ['b', '5'],
      ['c', '6'],
    ])
      assert.equal(await run(name, seed), 0);
    const image = async (name: string) => {
      const { items } = await collectItems(readX2xRft(path.join(folder, name, 'data.jsonl')));
      return readFileSync(items[0].realImage as string);
    };
    assert.ok((await image('a')).equals(await image('b')));
    assert.ok(!(await image('a')).equals(await image('c')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('a wrong call says what was expected', async () => {
  const wrong = async (args: string[], pattern: RegExp) =>
    assert.rejects(command.run(args), (error: Error) => {
      assert.ok(error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS'));
      assert.match(error.message, pattern);
      return true;
    });
  await wrong([], /preview, concepts, scenes, questions, subjects/);
  await wrong(['toString'], /no 'data toString'/);
  await wrong(['scenes', '--count', '3'], /--out is needed/);
  await wrong(['scenes', '--out', 'x', '--count', 'many'], /--count needs a whole number, got 'many'/);
  await wrong(['scenes', '--out', 'x', '--count', '0'], /at least 1/);
  await wrong(['scenes', '--out', 'x', '--count', '1', '--split', 'test'], /train or heldout/);
  await wrong(['preview', '--size', '3'], /--size/);
  await assert.rejects(command.run(['concepts', '--out', 'x', '--concept', 'nobody']), /'nobody'.*mira/);
});
