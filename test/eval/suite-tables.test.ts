import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import type { ScoredItem } from '../../src/data/benchmark';
import { meanByCluster, meanColumn } from '../../src/data/columns';
import { Rng, startEngine } from '../../src/engine';
import { papers, suites } from '../../src/eval';

before(() => startEngine({ quiet: true }));

describe('tables', () => {
  const item = (id: string, cluster: string, value: number): ScoredItem => ({
    id,
    cluster,
    scores: { s: value },
    detail: null,
  });
  const items = [item('1', 'dog', 1), item('2', 'dog', 1), item('3', 'dog', 1), item('4', 'cat', 0)];

  it('count the items that a column is of; an average by subject resamples a subject twice as two', () => {
    const mixed = [item('1', 'a', 1), { ...item('2', 'b', 0), scores: { other: 1 } }];
    const [cell] = suites.benchmarkCells({ name: 'b', columns: [meanColumn('s')] }, mixed, new Rng(1));
    assert.deepEqual([cell.items, cell.clusters], [1, 1]);
    // Of subjects with one item each both averages are the same, so their intervals are.
    const nine = Array.from({ length: 9 }, (_, i) => item(`${i}`, `subject ${i}`, i));
    const [by, plain] = [meanByCluster('s'), meanColumn('s')].map(
      (column) => suites.benchmarkCells({ name: 'b', columns: [column] }, nine, new Rng(1))[0],
    );
    assert.deepEqual(by, plain);
    const compared = suites.comparedCells({ name: 'b', columns: [meanColumn('s')] }, mixed, mixed, new Rng(1));
    assert.deepEqual([compared[0].items, compared[0].delta], [1, 0]);
  });

  it('average by subject where the paper does', () => {
    assert.equal(meanColumn('s').value(items), 0.75);
    assert.equal(meanByCluster('s').value(items), 0.5);
    assert.ok(Number.isNaN(meanColumn('none').value(items)));
  });

  it('have intervals of whole clusters, and paired differences', () => {
    const columns = [meanColumn('s')];
    const [cell] = suites.benchmarkCells({ name: 'b', columns }, items, new Rng(1));
    assert.deepEqual([cell.value, cell.items, cell.clusters, ...cell.ci95], [0.75, 4, 2, 0, 1]);
    const better = items.map((one) => ({ ...one, scores: { s: one.scores.s + 0.1 } }));
    const [compared] = suites.comparedCells({ name: 'b', columns }, items, better, new Rng(1));
    assert.ok(
      [compared.delta, ...compared.ci95].every((value) => Math.abs(value - 0.1) < 1e-12),
      'each gained the same',
    );
    assert.throws(
      () => suites.comparedCells({ name: 'b', columns }, items, [item('9', 'x', 1)], new Rng(1)),
      /no item in common/,
    );
  });

  it('are Markdown, LaTeX and a frame; a stand-in stands in no column of a paper', async () => {
    const cell = (column: string, value: number) => ({
      ...{ benchmark: 'dreambench', column, value, ci95: [value, value] as const, items: 4, clusters: 2 },
    });
    const cells = [cell('mobilenet_v2', 0.9), cell('clip_i', 0.8)];
    assert.match(suites.cellsMarkdown(cells), /\| dreambench\/clip_i \| 0\.800 \[0\.800, 0\.800\] \| 4 \| 2 \|/);
    assert.match(suites.cellsLatex(cells), /dreambench\/mobilenet\\_v2 & 0\.900/);
    const paper = suites.SUITES.dreambench.paper;
    assert.ok(paper);
    const table = suites.besidePaper(cells, paper, 'ours');
    assert.deepEqual(table.rows.at(-1)?.values, {
      'DreamBench DINO': null,
      'DreamBench CLIP-I': 0.8,
      'DreamBench CLIP-T': null,
    });
    assert.equal(table.rows.find(({ name }) => name === 'IP-Adapter')?.values['DreamBench CLIP-I'], 0.836);
    const frame = await suites.paperFrame(table);
    assert.deepEqual(frame.columns, ['model', 'source', ...table.columns]);
  });

  it('every column that a suite names stands in its paper', () => {
    for (const { name, paper } of Object.values(suites.SUITES)) {
      if (!paper) continue;
      const names = papers.tableOf(papers.readPaper(paper.paper), paper.table).columns.map((column) => column.name);
      for (const column of Object.values(paper.columns)) assert.ok(names.includes(column), `${name}: ${column}`);
    }
  });
});

describe('features of photographs', () => {
  it('nearest neighbors, worked out', () => {
    const features = [
      [1, 0],
      [0.9, 0.1],
      [0, 1],
      [1, 0.2],
    ];
    assert.equal(suites.nearestNeighborShare(features, ['a', 'a', 'b', 'b']), 0.5);
    assert.throws(() => suites.nearestNeighborShare([[1]], ['a']), /at least two/);
  });

  const dataset = ['../../..', '../../../..']
    .map((up) => path.resolve(__dirname, up, 'shared/dreambench/dataset'))
    .find((f) => {
      try {
        return readFileSync(path.join(f, 'prompts_and_classes.txt')).length > 0;
      } catch {
        return false;
      }
    });
  const skip = dataset === undefined ? 'shared/dreambench is not beside the project' : false;
  it('MobileNet finds the same subject for 85% of DreamBench', { skip }, async () => {
    const { share, subjects } = await suites.nearestSubjects(dataset ?? '');
    assert.ok(subjects >= 22);
    assert.ok(share >= 0.85, String(share));
  });
});
