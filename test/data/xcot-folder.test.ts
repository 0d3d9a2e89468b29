import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DrawnXcot, XcotRecord } from '../../src/data/xcot';
import { recordsFile, type XcotLine, XcotFolderTask } from '../../src/data/xcot-folder';
import { Rng, startEngine } from '../../src/engine';
import { JsonLines } from '../../src/io';
import { tinyModel } from '../models/chameleon/fixture';
import { tinyXcotFolder, tinyXcotRecord } from './tiny-xcot';

const root = mkdtempSync(path.join(os.tmpdir(), 'unilab-xcot-folder-'));
after(() => rmSync(root, { recursive: true }));
before(() => startEngine({ precision: 'float32', quiet: true }));

const brightness = {
  name: 'red',
  score: (drawn: readonly DrawnXcot<XcotLine>[]) => Promise.resolve(drawn.map(({ image }) => image.rgb[0])),
};

describe('X-CoT records of a folder as a task', () => {
  it('holds out whole subjects, and gives records back as they were', async () => {
    const folder = await tinyXcotFolder(path.join(root, 'four'), ['w21', 'w22', 'w23', 'w21', 'w24']);
    const task = await XcotFolderTask.open(folder, [brightness], { holdOutEvery: 2 });
    const subjects = new Set<string>();
    for (let i = 0; i < 60; i++) subjects.add((await task.record(new Rng(i))).subject);
    // Of w21, w22, w23, w24 every second one is held out.
    assert.deepEqual([...subjects].sort(), ['w21', 'w23']);
    const given = [0, 3].map((i) => tinyXcotRecord(i, 'w21'));
    const found: XcotRecord = await task.record(new Rng(0));
    const expected = given.find(({ id }) => id === found.id) ?? tinyXcotRecord(2, 'w23');
    assert.deepEqual(
      [found.caption, found.plan, [...found.focus.rgb], [...found.target.rgb]],
      [expected.caption, expected.plan, [...expected.focus.rgb], [...expected.target.rgb]],
    );
    const { truth, references } = task.sample(new Rng(5));
    assert.ok(subjects.has(truth.subject) && references[0].width === 8);
  });

  it('evaluates every held-out record once, by the scorers, clustered by subject', async () => {
    const folder = await tinyXcotFolder(path.join(root, 'held'), ['w21', 'w22', 'w22', 'w22']);
    const task = await XcotFolderTask.open(folder, [brightness]);
    const model = tinyModel();
    try {
      const { metrics, items } = await task.evaluate(model, new Rng(1), { structure: 'direct' });
      assert.deepEqual(Object.keys(metrics).sort(), ['drawn', 'red']);
      assert.deepEqual(
        [metrics.drawn, items.length, new Set(items.map(({ cluster }) => cluster))],
        [1, 3, new Set(['w22'])],
      );
      assert.equal((await task.evaluate(model, new Rng(1), { structure: 'direct', count: 2 })).items.length, 2);
    } finally {
      model.dispose();
    }
  });

  it('says what is wrong with a folder', async () => {
    await assert.rejects(XcotFolderTask.open(path.join(root, 'nothing'), []), /records\.jsonl is missing/);
    const one = await tinyXcotFolder(path.join(root, 'one'), ['w21', 'w21']);
    await assert.rejects(XcotFolderTask.open(one, []), /records of 1 subject: one at least must be held out/);
    const wrong = await tinyXcotFolder(path.join(root, 'wrong'), ['w21', 'w22']);
    appendFileSync(recordsFile(wrong), `${JSON.stringify({ id: 'x', subject: 'w23', prompt: 7 })}\n`);
    await assert.rejects(XcotFolderTask.open(wrong, []), /records\.jsonl:3: .*(prompt|caption)/);
    const lost = await tinyXcotFolder(path.join(root, 'lost'), ['w21', 'w22']);
    const [line] = await JsonLines.read<XcotLine>(recordsFile(lost));
    rmSync(path.join(lost, line.reference));
    await assert.rejects(XcotFolderTask.open(lost, []), new RegExp(line.reference.replace('.', '\\.')));
  });
});
