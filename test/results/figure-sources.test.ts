import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { BENCH_SEED } from '../../bench/sizes';
import { readResults } from '../../src/eval';
import { dataFolder, packageRoot } from '../../src/io/package-root';

const folder = path.join(packageRoot(), 'notebooks', 'figures');
const notebooks = readdirSync(folder).filter((name) => name.endsWith('.ipynb'));

function codeOf(notebook: string): string {
  const { cells } = JSON.parse(readFileSync(path.join(folder, notebook), 'utf8')) as {
    cells: { cell_type: string; source: string | string[] }[];
  };
  return cells.flatMap(({ cell_type, source }) => (cell_type === 'code' ? [source].flat().join('') : [])).join('\n');
}

describe('figure pages', () => {
  for (const notebook of notebooks)
    test(`${notebook}: every figure names its sources, which are there; nothing is read but data/, nothing trained`, () => {
      const code = codeOf(notebook);
      const figures = code.split('displays.figure(').length - 1;
      const sources = [...code.matchAll(/sources: \[([^\]]*)\]/g)].map(([, list]) => list);
      assert.ok(figures > 0 && sources.length > 0);
      for (const list of sources)
        for (const [, source] of list.matchAll(/'([^']+)'/g)) {
          const [file] = source.split(' ');
          const isMade = source.startsWith('src/') || existsSync(path.dirname(path.join(packageRoot(), file)));
          assert.ok(isMade, `${source} is not there`);
          assert.ok(/^(data|src)\//.test(file), `${source} is outside data/ and what is simulated in src/`);
        }
      for (const [, read] of code.matchAll(/readFileSync\(([^,)]*)/g))
        assert.match(read, /^(dataFolder\(|path\.join\(dataFolder\()/, `${read} is read beside data/`);
      assert.doesNotMatch(code, /openSyncGrpo|openCorl|openMmR1|syncGrpo\(|runCorl|\.supervisedLoss\(|sftLoop/);
    });
});

describe('stand-ins', () => {
  for (const notebook of ['corl', 'mm-r1', 'sync-r1', 'unictokens-r1'])
    test(`${notebook}: the note of every figure with mini numbers says who stands in for whom`, () => {
      const code = codeOf(`${notebook}.ipynb`);
      assert.match(code, /const SCALE = '[^']*which stands in for [^']*'/);
      assert.match(code, /notes: \[\.\.\.notes, SCALE\]/);
    });
});

describe('what figures draw', () => {
  const runs = ['.', 'validation'].flatMap((name) => readResults(dataFolder('results', name)));

  test('each run names its command, its seed and the version that made it', () => {
    for (const { name, result } of runs) {
      assert.match(result.command, /^(make results|bin\/unilab) /, name);
      assert.ok(Number.isInteger(result.seed), name);
      assert.match(result.version, /^\d+\.\d+\.\d+\+[0-9a-f]{7,}$/, name);
      assert.ok(result.command.includes(String(result.seed)) || name.endsWith(`-${result.seed}`), name);
    }
    assert.ok(runs.length > 0);
  });

  test('what is pooled names the runs that it is pooled from; step times name what measured them', () => {
    const told = <T>(name: string) => JSON.parse(readFileSync(dataFolder('results', name), 'utf8')) as T;
    const pooled = told<Record<string, { runs: Record<string, string> }>>('summary.json');
    const named = Object.values(pooled).flatMap(({ runs: own }) => Object.entries(own));
    const finished = readResults(dataFolder('results')).map(({ result: { command, version } }) => [command, version]);
    const inOrder = (all: string[][]) => all.map((one) => one.join(' ')).sort();
    assert.deepEqual(inOrder(named), inOrder(finished));
    const times = told<Record<string, Record<string, { command: string; version: string }>>>('step-times.json');
    for (const { command, version } of Object.values(times).flatMap((backbones) => Object.values(backbones))) {
      assert.match(command, /^make results /);
      assert.match(version, /^\d+\.\d+\.\d+\+[0-9a-f]{7,}$/);
    }
  });

  test('measurements of speed name their command, their seed and the versions that were measured', () => {
    for (const name of ['bench.json', 'bench-30M.json']) {
      const bench = JSON.parse(readFileSync(dataFolder('results', name), 'utf8')) as {
        command: string;
        seed: number;
        versions: Record<string, string>;
      };
      assert.match(bench.command, /unilab bench/);
      assert.equal(bench.seed, BENCH_SEED);
      assert.ok(Object.keys(bench.versions).length > 0);
    }
  });

  test('evaluations name their command, their seed and the version that made them, and no folder of a machine', () => {
    const suites = readdirSync(dataFolder('results', 'suites')).map((name) => path.join('suites', name));
    assert.ok(suites.length > 0);
    for (const name of ['nearest.json', ...suites]) {
      const text = readFileSync(dataFolder('results', name), 'utf8');
      const { settings, ...found } = JSON.parse(text) as {
        command?: string;
        version: string;
        settings?: { command: string; seed: number };
      };
      assert.match(settings?.command ?? found.command ?? '', /^bin\/unilab eval /, name);
      // Of the nearest neighbors nothing is random.
      assert.ok(settings === undefined || Number.isInteger(settings.seed), name);
      assert.match(found.version, /^\d+\.\d+\.\d+\+[0-9a-f]{7,}$/, name);
      assert.doesNotMatch(text, /"\/(work|home|Users|tmp)\//, name);
    }
  });

  test('tables of papers name the paper', () => {
    for (const file of readdirSync(dataFolder('papers'))) {
      const { paper, title } = JSON.parse(readFileSync(dataFolder('papers', file), 'utf8')) as Record<string, string>;
      assert.equal(`${paper}.json`, file);
      assert.ok(title.length > 10);
    }
  });
});
