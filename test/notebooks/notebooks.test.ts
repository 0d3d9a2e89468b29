import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';

const root = path.resolve(__dirname, '../..');

function notebooksBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith('.') ? [] : notebooksBelow(at);
    return entry.name.endsWith('.ipynb') ? [at] : [];
  });
}

interface Cell {
  readonly cell_type: string;
  readonly metadata?: { readonly tags?: readonly string[] };
  readonly execution_count?: number | null;
  readonly outputs?: readonly { readonly output_type: string }[];
}

describe('notebooks that ship', () => {
  const out = mkdtempSync(path.join(os.tmpdir(), 'unilab-notebooks-'));
  after(() => rmSync(out, { recursive: true, force: true }));
  const notebooks = notebooksBelow(path.join(root, 'notebooks'));

  test('there are some', () => assert.ok(notebooks.length > 0));

  for (const notebook of notebooks) {
    test(`${path.relative(root, notebook)} runs from top to bottom with quick parameters`, () => {
      const name = path.basename(notebook, '.ipynb');
      const [executed, page] = ['ipynb', 'html'].map((ending) => path.join(out, `${name}.${ending}`));
      // Notebooks that train have a cell of parameters with `quick` and `out`; the others are quick as they are.
      const { cells: written } = JSON.parse(readFileSync(notebook, 'utf8')) as { cells: Cell[] };
      const hasParameters = written.some((cell) => cell.metadata?.tags?.includes('parameters'));
      const parameters = hasParameters ? ['-p', 'quick=true', '-p', `out=${path.join(out, name)}`] : [];
      const args = ['run', notebook, ...parameters, '--out', executed, '--html', page];
      const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, 'bin/unilab'), ...args], {
        encoding: 'utf8',
        cwd: root,
      });
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      const { cells } = JSON.parse(readFileSync(executed, 'utf8')) as { cells: Cell[] };
      const code = cells.filter((cell) => cell.cell_type === 'code');
      assert.ok(code.length > 0);
      for (const cell of code) {
        assert.ok(Number.isInteger(cell.execution_count), 'a cell was not executed');
        const meant = cell.metadata?.tags?.includes('raises-exception') ?? false;
        assert.equal(cell.outputs?.some((output) => output.output_type === 'error') ?? false, meant);
      }
      assert.match(readFileSync(page, 'utf8'), /<img/);
    });
  }
});

describe('scripts that ship', () => {
  test('sync-grpo runs in a terminal and leaves the same kind of result', () => {
    const out = mkdtempSync(path.join(os.tmpdir(), 'unilab-script-'));
    try {
      const args = ['--require', 'ts-node/register/transpile-only', 'scripts/sync-grpo.ts', '--quick', '--out', out];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root });
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      const result = JSON.parse(readFileSync(path.join(out, 'result.json'), 'utf8')) as Record<string, unknown>;
      for (const key of ['subject', 'steps', 'seed', 'heldout', 'rewards', 'metrics'])
        assert.ok(key in result, `no ${key}`);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
});
