import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadItemImage } from '../../src/data/item-images';
import { collectItems } from '../../src/data/items';
import { CHARACTER_REFERENCE, readKontextBench } from '../../src/data/kontext-bench';
import { readVlmEvalKit } from '../../src/data/vlmevalkit';
import { Rng } from '../../src/engine/random';
import { loadSprites, type SpriteSheet, writeCharacterReferences, writeQuestionTables } from '../../src/miniworld';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-write-sets-'));
after(() => rmSync(folder, { recursive: true }));
let sprites: SpriteSheet;
before(async () => {
  sprites = await loadSprites();
});

describe("the mini world in published sets' layouts", () => {
  it("VLMEvalKit's tables: every row is read, with its image and its right letter", async () => {
    const files = await writeQuestionTables(path.join(folder, 'new'), sprites, 4, new Rng(1));
    assert.deepEqual(
      files.map((file) => path.basename(file)),
      ['MMStar.tsv', 'POPE.tsv', 'MathVista_MINI.tsv'],
    );
    const tables = await Promise.all(files.map((file) => collectItems(readVlmEvalKit(file))));
    assert.deepEqual(
      tables.map(({ items, errors }) => [items.length, errors]),
      [
        [24, []],
        [8, []],
        [8, []],
      ],
    );
    const [choices, yesNo, numbers] = tables.map(({ items }) => items);
    for (const { answer = '', choices: options } of choices) assert.ok(options[answer], answer);
    assert.deepEqual(new Set(yesNo.map(({ answer }) => answer)), new Set(['yes', 'no']));
    assert.match(numbers[0].question, /^how many .* are there \?$/);
    const { width, height } = await loadItemImage(choices[0].images[0]);
    assert.deepEqual([width, height], [64, 64]);
  });

  it('Kontext-Bench: a subject and what is asked of it, four instructions a subject', async () => {
    await writeCharacterReferences(folder, sprites, 64, new Rng(1));
    const { items, errors } = await collectItems(readKontextBench(folder, CHARACTER_REFERENCE));
    assert.deepEqual([items.length, errors], [64, []]);
    assert.equal(new Set(items.map(({ instruction }) => instruction)).size, 64, 'no instruction comes twice');
    await assert.rejects(writeCharacterReferences(folder, sprites, 100000, new Rng(1)), /are used up at/);
  });
});
