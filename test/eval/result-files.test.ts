import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import {
  changeRows,
  curveRows,
  readResults,
  relativeChange,
  type RunItems,
  scoreRows,
  sharedSeeds,
  type StoredRun,
  variantScore,
} from '../../src/eval';

const base = { method: 'corl', backbone: 'janus-mini', command: '', version: '', options: {}, minutes: 1 } as const;
const items = (before: (number | null)[], end: (number | null)[]): RunItems => ({
  clusters: before.map((_, i) => `prompt ${i}`),
  before: { score: before },
  after: { score: end },
});
const run = (variant: string, seed: number, own: RunItems, curve: StoredRun['curve'] = []): StoredRun => ({
  name: `${variant}-${seed}`,
  result: { ...base, variant, seed, metrics: {} },
  items: own,
  curve,
});

const runs = [
  run('full', 1, items([0, 0.5, null], [1, 0.5, null]), [
    { step: 1, reward: 0.5 },
    { step: 2, reward: 0.75, kl: 0.1 },
  ]),
  run('full', 2, items([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])),
  run('control', 1, items([0, 0.5, null], [0.25, 0.5, null])),
];

describe('results as rows of figures', () => {
  it('scores are pooled over seeds; items without the metric do not count', () => {
    const found = variantScore(runs, { method: 'corl', variant: 'full', metric: 'score' });
    assert.equal(found?.value, 3 / 5);
    assert.deepEqual(found?.seeds, [1, 2]);
    assert.ok(found.ci95[0] <= 0.6 && found.ci95[1] >= 0.6);
    assert.equal(
      variantScore(runs, { method: 'corl', variant: 'full', metric: 'score', when: 'before' })?.value,
      2 / 5,
    );
    assert.equal(variantScore(runs, { method: 'mm-r1', variant: 'full', metric: 'score' }), undefined);
  });

  it('changes are in percent of the other, over the seeds that both have', () => {
    const query = { method: 'corl', metric: 'score', variant: 'control' } as const;
    const against = relativeChange(runs, query); // control ends with 0.75 where full ends with 1.5: half of it
    assert.equal(against?.value.toFixed(6), '-50.000000');
    assert.deepEqual(against?.seeds, [1]);
    assert.equal(relativeChange(runs, { ...query, against: 'before' })?.value.toFixed(6), '50.000000');
    assert.equal(relativeChange(runs, { ...query, variant: 'cycle' }), undefined);
  });

  it('what is missing says why: not run, or never measured', () => {
    const query = {
      method: 'corl',
      rows: { start: 'before', CoRL: 'full', cycle: 'cycle' },
      panels: { ours: 'score', theirs: '' },
      series: 'mini',
    } as const;
    const rows = scoreRows(runs, query);
    assert.deepEqual(
      rows.map(({ panel, method, value, text }) => [panel, method, value ?? text]),
      [
        ['ours', 'start', 0.4],
        ['ours', 'CoRL', 0.6],
        ['ours', 'cycle', 'not run'],
        ['theirs', 'start', 'not measured'],
        ['theirs', 'CoRL', 'not measured'],
        ['theirs', 'cycle', 'not measured'],
      ],
    );
    // With the control, which ran seed 1 alone, the full method's level is that seed's: of 1 and 0.5.
    const both = { ...query, rows: { CoRL: 'full', control: 'control' }, panels: { ours: 'score' } };
    assert.deepEqual(sharedSeeds(runs, both), [1]);
    assert.deepEqual(
      scoreRows(runs, both).map(({ value }) => value),
      [0.75, 0.375],
    );
    const [, change] = changeRows(runs, { ...query, against: 'control' });
    assert.equal(change.value?.toFixed(3), '100.000');
  });

  it('curves: a row a step and metric that was logged', () => {
    const rows = curveRows(runs, { method: 'corl', variants: ['full'], metrics: { R: 'reward', KL: 'kl' } });
    assert.deepEqual(
      rows.map(({ panel, seed, step, value }) => [panel, seed, step, value]),
      [
        ['R', 1, 1, 0.5],
        ['R', 1, 2, 0.75],
        ['KL', 1, 2, 0.1],
      ],
    );
  });
});

describe('a folder of results', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'results-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is read whole, with the curves that are there; other files are passed over; a broken one is named', () => {
    assert.deepEqual(readResults(folder), []);
    for (const name of ['items', 'curves']) mkdirSync(path.join(folder, name));
    const { result, items: own } = runs[0];
    writeFileSync(path.join(folder, 'a.json'), JSON.stringify(result));
    writeFileSync(path.join(folder, 'items', 'a.json'), JSON.stringify(own));
    writeFileSync(path.join(folder, 'items', 'unfinished.json'), '{}');
    writeFileSync(path.join(folder, 'bench.json'), '{}');
    writeFileSync(path.join(folder, 'curves', 'a.jsonl'), '{"step":1,"reward":0.5}\n');
    const [read, ...others] = readResults(folder);
    assert.deepEqual([read, others], [{ name: 'a', result, items: own, curve: [{ step: 1, reward: 0.5 }] }, []]);
    writeFileSync(path.join(folder, 'a.json'), '{"method":"corl"}');
    assert.throws(() => readResults(folder), /a\.json is no result of a run/);
  });
});
