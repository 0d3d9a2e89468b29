import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type FigureNumber, numberLine, readNumberLines } from '../../src/display';
import { packageRoot } from '../../src/io/package-root';
import { untraced } from './printed-numbers';

const folder = path.join(packageRoot(), 'notebooks', 'figures');
const notebooks = readdirSync(folder).flatMap((file) =>
  file.endsWith('.ipynb') ? [path.basename(file, '.ipynb')] : [],
);

interface Output {
  readonly data?: Readonly<Record<string, string | readonly string[]>>;
}

/** What the pages say, as they are stored. */
function printedBy(notebook: string): FigureNumber[] {
  const { cells } = JSON.parse(readFileSync(path.join(folder, `${notebook}.ipynb`), 'utf8')) as {
    cells: { outputs?: readonly Output[] }[];
  };
  return cells
    .flatMap(({ outputs = [] }) => outputs)
    .flatMap(({ data }) => {
      const text = [data?.['text/plain'] ?? ''].flat().join('');
      return text.startsWith('Figure ') ? readNumberLines(text) : [];
    });
}

/** How many numbers a page has at least: those of the papers' tables stand on it whatever was run. */
const LEAST = { claims: 80, corl: 200, 'mm-r1': 60, 'sync-r1': 20, training: 20, 'unictokens-r1': 200 } as const;

describe('numbers on the figure pages', () => {
  for (const notebook of notebooks)
    it(`${notebook}: each stands in a file of data/, as it is printed`, () => {
      const printed = printedBy(notebook);
      assert.ok(printed.length >= LEAST[notebook as keyof typeof LEAST], `${printed.length} numbers`);
      assert.deepEqual(untraced(notebook, printed).map(numberLine), []);
    });

  it('a number of a run that is changed in its last digit is found out, and so is an interval', () => {
    const ours = printedBy('unictokens-r1').filter(({ series, low }) => series === 'mini' && low !== undefined);
    assert.ok(ours.length >= 10, 'the page has numbers of ours');
    const changed = ours.flatMap((one): FigureNumber[] => [
      { ...one, value: one.value * 1.002 },
      { ...one, high: Number(one.high) * 1.002 },
    ]);
    const found = untraced('unictokens-r1', changed);
    // A changed number may be another one of the data by chance; seldom.
    assert.ok(found.length >= 0.9 * changed.length, `${found.length} of ${changed.length}`);
  });
});
