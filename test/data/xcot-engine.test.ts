import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import type { SubjectPair } from '../../src/data/xcot';
import { buildXcot, exactParts, type XcotError, type XcotParts, type XcotProgress } from '../../src/data/xcot-engine';
import { loadXcotRecord, readXcotLines } from '../../src/data/xcot-folder';
import { type Image, JsonLines } from '../../src/io';

const root = mkdtempSync(path.join(os.tmpdir(), 'unilab-xcot-'));
after(() => rmSync(root, { recursive: true }));

const flat = (value: number): Image => ({ width: 2, height: 2, rgb: new Uint8Array(12).fill(value) });
const pairOf = (i: number): SubjectPair => ({
  id: `pair/${i}`,
  subject: 'mug',
  reference: flat(i),
  target: flat(100 + i),
  prompt: `a mug on shelf ${i}`,
});
const pairs = Array.from({ length: 7 }, (_, i) => pairOf(i));

/** Exact parts that count whom they are asked about. */
function counting(asked: string[]): XcotParts {
  const parts = exactParts('exact', (pair: SubjectPair) => ({
    ...pair,
    focus: flat(200),
    caption: `a mug, of ${pair.id}`,
    plan: 'the mug stands on a shelf',
  }));
  return {
    ...parts,
    caption: (some) => {
      asked.push(...some.map(({ id }) => id));
      return parts.caption(some);
    },
  };
}

let folder = '';
let made = 0;
beforeEach(() => (folder = path.join(root, String(made++))));

async function run(parts: XcotParts, options: { batch?: number; limit?: number; stopAfter?: number } = {}) {
  const { stopAfter = Infinity, ...rest } = options;
  const progress: XcotProgress[] = [];
  for await (const step of buildXcot(pairs, parts, { folder, ...rest })) {
    progress.push(step);
    if (progress.length >= stopAfter) break;
  }
  return progress;
}

describe('the X-CoT data engine', () => {
  it('writes each pair with what was thought, its images as they were', async () => {
    assert.deepEqual(
      (await run(counting([]), { batch: 3 })).map(({ done }) => done),
      [3, 6, 7],
    );
    const lines = await readXcotLines(folder);
    assert.deepEqual(
      lines.map(({ id, caption }) => [id, caption]),
      pairs.map(({ id }) => [id, `a mug, of ${id}`]),
    );
    const { reference, focus, target } = await loadXcotRecord(folder, lines[4]);
    assert.deepEqual([reference.rgb[0], focus.rgb[0], target.rgb[0]], [4, 200, 104]);
  });

  it('stopped after a batch, goes on and asks for nothing twice; a torn last line is made again', async () => {
    const asked: string[] = [];
    await run(counting(asked), { batch: 2, stopAfter: 2 });
    assert.equal((await readXcotLines(folder)).length, 4);
    const last = (await run(counting(asked), { batch: 2 })).at(-1);
    assert.deepEqual(last, { done: 7, failed: 0, skipped: 4 });
    assert.deepEqual([...asked].sort(), pairs.map(({ id }) => id).sort());
    writeFileSync(path.join(folder, 'records.jsonl'), '{"id": "pair/9", "subj', { flag: 'a' });
    await run(counting(asked));
    assert.deepEqual((await readXcotLines(folder)).map(({ id }) => id).sort(), pairs.map(({ id }) => id).sort());
    assert.equal(asked.length, 7);
  });

  it('what fails, fails alone, is told with its part and is tried again by the next run', async () => {
    const good = counting([]);
    const bad: XcotParts = {
      ...good,
      plan: (some) =>
        some.some(({ id }) => id === 'pair/5') ? Promise.reject(new Error('no answer')) : good.plan(some),
      extract: async (some) =>
        (await good.extract(some)).map((reply, i) => (some[i].id === 'pair/2' ? { error: 'nothing found' } : reply)),
    };
    assert.deepEqual((await run(bad)).at(-1), { done: 5, failed: 2, skipped: 0 });
    const errors = await JsonLines.read<XcotError>(path.join(folder, 'errors.jsonl'));
    assert.deepEqual(errors, [
      { id: 'pair/2', part: 'extract', error: 'nothing found' },
      { id: 'pair/5', part: 'plan', error: 'no answer' },
    ]);
    assert.deepEqual((await run(good)).at(-1), { done: 7, failed: 0, skipped: 5 });
    assert.deepEqual(await JsonLines.read(path.join(folder, 'errors.jsonl')), []);
  });

  it('ends at once with what is fatal, at a limit, and in a folder of other parts', async () => {
    const good = counting([]);
    const fatal = new Error('the key is wrong');
    const locked: XcotParts = { ...good, caption: () => Promise.reject(fatal), isFatal: (error) => error === fatal };
    await assert.rejects(run(locked), /the key is wrong/);
    assert.equal((await run(good, { batch: 2, limit: 3 })).at(-1)?.done, 3);
    await assert.rejects(run({ ...good, name: 'other' }), /holds records of exact; those of other need a folder/);
    await assert.rejects(run(good, { batch: 0 }), /batch is 0/);
    assert.ok(existsSync(path.join(folder, 'engine.json')));
  });

  it('a part that answers for another number of pairs is an error', async () => {
    const good = counting([]);
    await assert.rejects(run({ ...good, plan: () => Promise.resolve([]) }), /gave 0 replies for 7 pairs/);
  });
});
