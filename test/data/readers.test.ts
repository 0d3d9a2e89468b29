/** Every reader: a small set in its layout is read whole; broken in ten ways, each item at fault is named and the others stay. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { readAll, scratch, scratchFolders, type SmallSet, VARIANTS } from './broken-sets';
import { CONCEPT_SETS } from './concept-sets';
import { TEXT_SETS } from './text-sets';
import { loadParquetWriter } from './parquet-sets';
import { TABLE_SETS } from './table-sets';

before(loadParquetWriter);
after(() => scratchFolders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

const SETS: readonly SmallSet[] = [...CONCEPT_SETS, ...TEXT_SETS, ...TABLE_SETS];

for (const set of SETS) {
  describe(set.name, () => {
    it('is read whole', async () => {
      const folder = scratch();
      set.write(folder);
      const { items, errors } = await readAll(() => set.read(folder));
      assert.deepEqual(errors, []);
      assert.equal(items.length, set.count);
      const first = items[0] as Record<string, unknown>;
      assert.deepEqual(Object.fromEntries(Object.keys(set.first).map((key) => [key, first[key]])), set.first);
    });

    for (const variant of VARIANTS) {
      it(`${variant}: names the item, keeps its neighbors`, async () => {
        const folder = scratch();
        set.write(folder);
        const { says, left } = set.broken[variant];
        set.broken[variant].change(folder);
        const started = performance.now();
        const { items, errors } = await readAll(() => set.read(folder));
        assert.match(errors.join('\n'), says);
        assert.ok(
          errors.every((message) => message.includes(folder)),
          errors.join('\n'),
        );
        assert.equal(items.length, left, errors.join('\n'));
        assert.ok(performance.now() - started < 300_000);
      });
    }
  });
}
