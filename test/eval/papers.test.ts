import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { papers } from '../../src/eval';

const { checkClaim, disagreements, impliedGenEval, numberAt, PAPERS, readPaper, tableOf } = papers;

/** The folder `shared` beside the project, or farther up. */
const shared = ['../../..', '../../../..', '../../../../..']
  .map((up) => path.resolve(__dirname, up, 'shared'))
  .find((folder) => existsSync(folder));
const texts = path.join(shared ?? 'shared', 'papers');

/** A paper in which everything can be computed in one's head. */
const small: papers.Paper = {
  paper: 'corl',
  title: 'Small',
  tables: [
    {
      id: '1',
      caption: '',
      columns: [
        { name: 'A', benchmark: 'A', metric: 'A', unit: 'fraction', decimals: 2 },
        { name: 'B', benchmark: 'B', metric: 'B', unit: 'percent', decimals: 1 },
        { name: 'mean', benchmark: 'mean', metric: 'mean', unit: 'percent', decimals: 1 },
      ],
      rows: [
        { name: 'base', values: [0.4, 50, 45] },
        { name: 'other', values: [0.7, null, null] },
        { name: 'ours', values: [0.5, 60, 55] },
      ],
      differences: { from: 'base', rows: { ours: [0.1, 9, null] } },
    },
  ],
  claims: [],
  consistency: [],
};

describe('claims', () => {
  const reading = { table: '1', row: 'ours', over: ['base'], columns: ['A', 'B'] };
  const check = (claim: Omit<papers.Claim, 'id' | 'where' | 'quote'>) =>
    checkClaim(small, { id: 'x', where: '', quote: '', ...claim });

  it('relative gains: 25% and 20%, so 22.5%; of the means 40 + 50 and 50 + 60: 22.2%; difference 10 points', () => {
    const values = (['mean-relative', 'relative-of-means'] as const).map(
      (kind) => check({ stated: 22.2, decimals: 1, readings: [{ kind, ...reading }] }).readings[0],
    );
    assert.deepEqual(
      values.map(({ value, holds }) => [value.toFixed(3), holds]),
      [
        ['22.500', false],
        ['22.222', true],
      ],
    );
    const difference = check({ stated: 10, readings: [{ kind: 'difference', ...reading, scale: 1 }] });
    assert.equal(difference.readings[0].value.toFixed(6), '10.000000'); // both in percent, since units differ
    assert.equal(difference.verdict, 'follows');
    const toRow = check({ stated: 18, decimals: 0, readings: [{ kind: 'relative-to-row', ...reading }] });
    assert.equal(toRow.readings[0].value.toFixed(3), '18.333'); // 1/5 and 1/6
  });

  it('the best of several rows is taken column by column; a dash is no rival', () => {
    const over = ['base', 'other'];
    const { readings } = check({ stated: 0, readings: [{ kind: 'mean-relative', ...reading, over }] });
    assert.equal(readings[0].value.toFixed(3), ((100 * (0.5 / 0.7 - 1) + 20) / 2).toFixed(3));
  });

  it('order: who stands above is named; a later reading that holds is "only if"', () => {
    const { verdict, readings } = check({
      readings: [
        { kind: 'rank', table: '1', row: 'ours', columns: ['A', 'B'], rank: 1 },
        { kind: 'better', ...reading },
      ],
    });
    assert.equal(verdict, 'only if');
    assert.deepEqual(readings[0].against, ['A: place 2 with 0.5, behind other 0.7']);
    assert.equal(check({ readings: [{ kind: 'better', ...reading, over: ['other'] }] }).verdict, 'does not follow');
    const largest: papers.Reading = { kind: 'largest', ...reading, expected: ['B'] };
    assert.deepEqual(check({ readings: [largest] }).readings[0].against, ['A: +25.0%', 'B: +20.0%']);
  });

  it('a claim that mixes numbers with order, or names what is not there, is an error that says so', () => {
    assert.throws(() => check({ stated: 1, readings: [{ kind: 'better', ...reading }] }), /must not state a number/);
    assert.throws(() => check({ readings: [{ kind: 'mean-relative', ...reading }] }), /must state one/);
    assert.throws(
      () => check({ readings: [{ kind: 'better', ...reading, row: 'nobody' }] }),
      /no row 'nobody'; it has/,
    );
    assert.throws(() => check({ readings: [{ kind: 'better', ...reading, columns: ['C'] }] }), /no column 'C'; it has/);
    assert.throws(() => check({ readings: [{ kind: 'better', ...reading, table: '9' }] }), /no table 9; it has 1/);
  });

  it('a printed difference that its numbers do not give is found', () => {
    assert.deepEqual(disagreements(small), [{ where: 'Table 1, ours, B', printed: 9, computed: 10 }]);
  });
});

describe('what the papers print', () => {
  const all = PAPERS.map((name) => readPaper(name));

  it('every table, row and number', () => {
    const count = ({ tables }: papers.Paper) => [
      tables.length,
      tables.reduce((sum, { rows }) => sum + rows.length, 0),
      tables.flatMap(({ rows }) => rows.flatMap(({ values }) => values)).filter((value) => typeof value === 'number')
        .length,
    ];
    assert.deepEqual(Object.fromEntries(all.map((paper) => [paper.paper, count(paper)])), {
      'mm-r1': [3, 17, 93],
      'unictokens-r1': [6, 59, 409],
      'sync-r1': [7, 63, 469],
      corl: [5, 59, 307],
    });
  });

  it('disagrees with itself in one place: the difference beside Cold-SFT on GenEval', () => {
    assert.deepEqual(
      all.flatMap((paper) => disagreements(paper)),
      [{ where: 'Table 3, Cold-SFT, GenEval', printed: -0.3, computed: -0.2 }],
    );
  });

  it('UniCTokens-R1 and Sync-R1 are one method: their tables agree but for its names', () => {
    const [, first, second] = all;
    for (const table of first.tables) {
      const twin = tableOf(second, table.id);
      assert.deepEqual(
        twin.rows.map(({ values }) => values),
        table.rows.map(({ values }) => values),
        `table ${table.id}`,
      );
    }
  });

  it('names the claims that no reading of the tables gives', () => {
    const failing = all.flatMap((paper) =>
      paper.claims
        .filter((claim) => checkClaim(paper, claim).verdict === 'does not follow')
        .map(({ id }) => `${paper.paper} ${id}`),
    );
    assert.deepEqual(failing, [
      'mm-r1 text-alignment',
      'mm-r1 format-reward',
      'unictokens-r1 generation-14.1',
      'unictokens-r1 joint-dense-17.9',
      'unictokens-r1 understanding-5.3',
      'sync-r1 generation-14.1',
      'sync-r1 joint-dense-17.9',
      'sync-r1 understanding-5.3',
      'corl second-wise',
    ]);
  });

  it("leaves two GenEval tags to be inferred, whose sum is far from 1.8 for ULM-R1 alone of its base's size", () => {
    const sums = new Map(impliedGenEval(all[3]).map(({ row, impliedSum }) => [row, impliedSum]));
    assert.equal(sums.get('Janus-Pro'), 1.84);
    assert.equal(sums.get('ULM-R1'), 1.58);
  });

  it('a file with a row that is too short is refused by name', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'papers-'));
    try {
      const file = path.join(folder, 'corl.json');
      const tables = [{ ...small.tables[0], rows: [{ name: 'base', values: [1] }] }];
      writeFileSync(file, JSON.stringify({ ...small, tables }));
      assert.throws(() => readPaper('corl', file), /corl\.json .*[\s\S]*not as many values/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** The second pass: every row of numbers is looked for in the paper's own text, in order and near the row's name. */
describe('the papers’ texts', { skip: existsSync(texts) ? false : `${texts} is not there` }, () => {
  const files = { 'mm-r1': '000', 'unictokens-r1': '001', 'sync-r1': '002', corl: '003' };
  /** This half of a table is torn in the text of UniCTokens-R1; Sync-R1 prints the same one whole. */
  const torn = new Set(['unictokens-r1 5-right']);

  for (const name of PAPERS)
    it(`${name}: each row stands in the text`, () => {
      const file = readdirSync(texts).find((one) => one.startsWith(files[name])) ?? '';
      const text = readFileSync(path.join(texts, file), 'utf8');
      const escape = (cell: string) => cell.replaceAll('.', '\\.');
      let found = 0;
      for (const table of readPaper(name).tables) {
        if (table.columns[0].unit === 'setting' || torn.has(`${name} ${table.id}`)) continue;
        for (const row of table.rows) {
          const cells = table.columns.flatMap(({ decimals, name: column }) => {
            const cell = numberAt(table, row.name, column);
            return Number.isNaN(cell) ? [] : [cell.toFixed(decimals)];
          });
          const between = '(?:\\s*\\([-+][\\d.]+\\))?[^\\d]{1,12}';
          assert.match(text, new RegExp(`(?<![\\d.])${cells.map(escape).join(between)}`), `${table.id} ${row.name}`);
          found++;
        }
      }
      assert.ok(found > 10);
    });
});
