import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { injectParameters, parseParameters } from '../../src/cli/runner/parameters';
import { notebookHtml } from '../../src/cli/runner/html';
import { type Cell, notebookText, readNotebook } from '../../src/cli/runner/notebook';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-run-'));
after(() => rmSync(folder, { recursive: true, force: true }));

type Source = readonly [code: string, ...tags: string[]];

function put(name: string, cells: readonly Source[], extra: object = {}): string {
  const file = path.join(folder, name);
  const made = cells.map(([source, ...tags], i) => ({
    cell_type: 'code',
    id: `cell-${i}`,
    metadata: tags.length ? { tags } : {},
    source: source.split(/(?<=\n)/),
    outputs: [{ output_type: 'stream', name: 'stdout', text: 'old' }],
    execution_count: 99,
  }));
  writeFileSync(file, JSON.stringify({ cells: made, metadata: {}, nbformat: 4, nbformat_minor: 5, ...extra }));
  return file;
}

interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function unilabRun(...args: string[]): Promise<Finished> {
  const child = spawn(process.execPath, [path.join(__dirname, '../../bin/unilab'), 'run', ...args], { cwd: folder });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, stdout, stderr })));
}

interface Executed {
  nbformat: number;
  nbformat_minor: number;
  metadata: { kernelspec: { name: string } };
  cells: {
    id: string;
    execution_count: number | null;
    outputs: { output_type: string; text?: string[]; data?: Record<string, string[]> }[];
  }[];
}

test('a notebook runs with parameters, tags and displays; its file stays as it was', async () => {
  const file = put('good.ipynb', [
    ['const steps = 10;\nconst name = "x";', 'parameters'],
    ["console.log('steps', steps);\nconsole.log(name); steps * 2"],
    ["throw new Error('wanted')", 'raises-exception'],
    ['while (true) {}', 'skip-execution'],
    ["import { display, updateDisplay } from 'unilab/display';\nvoid display('draft', { id: 'd' });"],
    ["void updateDisplay('d', 'final');"],
    [
      "({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b onclick=\"x()\">bold</b><script>bad()</script><img src=x onerror=bad()>' }) })",
    ],
  ]);
  const before = readFileSync(file, 'utf8');
  const run = await unilabRun(
    file,
    '-p',
    'steps=3',
    '-p',
    'name=a "b"',
    '--out',
    'done/good.ipynb',
    '--html',
    'good.html',
    '--json',
  );
  assert.equal(run.status, 0, run.stderr);
  assert.equal(readFileSync(file, 'utf8'), before);
  const done = JSON.parse(readFileSync(path.join(folder, 'done/good.ipynb'), 'utf8')) as Executed;
  assert.deepEqual([done.nbformat, done.nbformat_minor, done.metadata.kernelspec.name], [4, 5, 'unilab']);
  assert.equal(new Set(done.cells.map((cell) => cell.id)).size, 8);
  const [, , shown, failed, skipped, displayed] = done.cells;
  assert.deepEqual(shown.outputs[0].text, ['steps 3\n', 'a "b"\n']);
  assert.deepEqual(shown.outputs[1].data, { 'text/plain': ['6'] });
  assert.equal(shown.execution_count, 3);
  assert.equal(failed.outputs[0].output_type, 'error');
  assert.deepEqual([skipped.outputs, skipped.execution_count], [[], null]);
  assert.deepEqual(displayed.outputs[0].data, { 'text/plain': ['final'] }, 'updated by a later cell');
  const page = readFileSync(path.join(folder, 'good.html'), 'utf8');
  assert.match(page, /<b>bold<\/b>/);
  assert.doesNotMatch(page, /<script|<b onclick|<img src="?x/);
  const summary = JSON.parse(run.stdout) as {
    passed: number;
    failed: number;
    notebooks: { cells: { cell: number; status: string }[] }[];
  };
  assert.deepEqual([summary.passed, summary.failed], [1, 0]);
  assert.deepEqual(
    summary.notebooks[0].cells.map((cell) => cell.status),
    ['ok', 'ok', 'ok', 'expected error', 'skip-execution', 'ok', 'ok', 'ok'],
  );
  assert.match(run.stderr, /cell 3\/8 {2}ok/);
});

test('whatever is no pass fails, with the cell, its source and the reason', async () => {
  put('error.ipynb', [['1'], ["// here\nthrow new TypeError('broken')"], ["console.log('never')"]]);
  put('types.ipynb', [["const n: number = 'x';"]]);
  put('rejection.ipynb', [
    ["setTimeout(() => Promise.reject(new Error('left alone')), 50);"],
    ['await new Promise((r) => setTimeout(r, 20_000));'],
  ]);
  put('late.ipynb', [["void new Promise((r) => setTimeout(r, 0)).then(() => { throw new Error('after the end') });"]]);
  put('dead.ipynb', [["process.kill(process.pid, 'SIGKILL'); await new Promise(() => undefined);"]]);
  put('slow.ipynb', [['await new Promise(() => undefined);']]);
  put('stubborn.ipynb', [['await null; while (true) {}']]);
  const broken = ['error', 'types', 'rejection', 'late', 'dead'];
  const endless = ['slow', 'stubborn'];
  const names = [...broken, ...endless];
  const runAll = (list: string[], ...args: string[]): Promise<Finished> =>
    unilabRun(...list.map((name) => `${name}.ipynb`), '--jobs', '2', '--out', 'failed/', '--json', ...args);
  const run = await runAll(broken);
  const slow = await runAll(endless, '--timeout', '5');
  assert.equal(slow.status, 1);
  assert.equal(run.status, 1);
  interface Failed {
    status: string;
    failure: { reason: string; cell?: number; message: string; source?: string };
  }
  const results = [run, slow].map((one) => JSON.parse(one.stdout) as { notebooks: Failed[]; failed: number });
  const notebooks = results.flatMap((one) => one.notebooks);
  const failed = results.reduce((sum, one) => sum + one.failed, 0);
  assert.equal(failed, names.length, run.stderr);
  const reasons = Object.fromEntries(notebooks.map((one, i) => [names[i], [one.failure.reason, one.failure.cell]]));
  // A slow machine may let it happen before the cell has ended.
  assert.match(String(reasons.late), /^(stray,|error,1)$/);
  const expected = {
    error: ['error', 2],
    types: ['error', 1],
    rejection: ['error', 2],
    late: reasons.late,
    dead: ['dead', 1],
    slow: ['timeout', 1],
    stubborn: ['timeout', 1],
  };
  assert.deepEqual(reasons, expected, `${inspect(reasons)}\n${run.stderr}\n${slow.stderr}`);
  assert.match(run.stderr, /error\.ipynb: cell 2 failed \(error\): TypeError: broken\nerror\.ipynb: {3}\| \/\/ here\n/);
  const executed = JSON.parse(readFileSync(path.join(folder, 'failed/error.ipynb'), 'utf8')) as Executed;
  assert.deepEqual(
    executed.cells.map((cell) => cell.outputs.length),
    [1, 1, 0],
    'written up to the failure, without old outputs',
  );
});

test('wrong calls and wrong files are told apart from failures of notebooks', async () => {
  writeFileSync(path.join(folder, 'text.ipynb'), 'no json');
  writeFileSync(path.join(folder, 'old.ipynb'), '{"nbformat": 3, "worksheets": []}');
  put('python.ipynb', [['1']], { metadata: { kernelspec: { name: 'python3', language: 'python' } } });
  put('plain.ipynb', [['const a = 1;']]);
  const outcomes: [args: string[], status: number, said: RegExp][] = [
    [[], 2, /name at least one notebook/],
    [['plain.ipynb', '--jobs', '0'], 2, /--jobs/],
    [['plain.ipynb', '--timeout', 'soon'], 2, /--timeout is a number of seconds/],
    [['plain.ipynb', '-p', '1x=3'], 2, /name=value/],
    [['missing.ipynb'], 1, /there is no such file/],
    [['text.ipynb'], 1, /text\.ipynb cannot be read/],
    [['old.ipynb'], 1, /no notebook of format 4/],
    [['python.ipynb'], 1, /notebook of python/],
    [['plain.ipynb', '-p', 'a=2'], 1, /no code cell has the tag 'parameters'/],
  ];
  for (const [args, status, said] of outcomes) {
    const run = await unilabRun(...args);
    assert.equal(run.status, status, args.join(' '));
    assert.match(run.stderr, said);
  }
  assert.equal(existsSync(path.join(folder, 'out')), false, 'nothing was written');
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes('.tmp')),
    [],
  );
});

test('parameters are JSON or text, replace an earlier injection, and must exist', () => {
  const parameters = parseParameters([
    'n=3',
    'flag=true',
    'list=[1,2]',
    'word=hello',
    'quoted="5"',
    'empty=',
    'sum=a=b',
  ]);
  assert.deepEqual(Object.fromEntries(parameters), {
    n: 3,
    flag: true,
    list: [1, 2],
    word: 'hello',
    quoted: '5',
    empty: '',
    sum: 'a=b',
  });
  const notebook = readNotebook(put('p.ipynb', [['const n = 1;\nlet word = "a";', 'parameters'], ['n']]));
  const once = injectParameters(notebook, parseParameters(['n=2']));
  const twice = injectParameters(once, parseParameters(['n=4', 'word=</script>']));
  assert.equal(twice.cells.length, 3);
  assert.equal(twice.cells[1].source, '// parameters of this run\nlet n = 4;\nlet word = "</script>";');
  assert.throws(() => injectParameters(notebook, parseParameters(['m=1'])), /no parameter m; its parameters: n, word/);
});

test('notebook texts keep sources, join and split lines, and give every cell an id of its own', () => {
  const file = path.join(folder, 'ids.ipynb');
  const cell = { cell_type: 'markdown', metadata: {}, source: ['a\n', 'b'] };
  writeFileSync(
    file,
    JSON.stringify({
      nbformat: 4,
      nbformat_minor: 2,
      metadata: {},
      cells: [cell, { ...cell, id: 'same' }, { ...cell, id: 'same' }],
    }),
  );
  const notebook = readNotebook(file);
  assert.equal(new Set(notebook.cells.map((one) => one.id)).size, 3);
  const written = JSON.parse(notebookText(notebook)) as { cells: { source: string[] }[] };
  assert.deepEqual(written.cells[0].source, ['a\n', 'b']);
});

test('the HTML page shows every kind of output and runs nothing', async () => {
  const hostile = '<script>bad()</script><img src=x onerror=bad()>';
  const cell = (fields: Partial<Cell>): Cell => ({
    id: 'x',
    cell_type: 'code',
    source: '',
    metadata: {},
    outputs: [],
    execution_count: 1,
    ...fields,
  });
  const data = (bundle: Record<string, unknown>): Cell['outputs'][number] => ({
    output_type: 'display_data',
    data: bundle,
    metadata: {},
  });
  const page = await notebookHtml(
    {
      metadata: {},
      cells: [
        cell({
          cell_type: 'markdown',
          source: `# Title\n\n${hostile}\n\n| a |\n|---|\n| 1 |\n\n[link](javascript:bad())\n\n![held](attachment:one.png)`,
          attachments: { 'one.png': { 'image/png': 'aGVsZA==' } },
        }),
        cell({
          source: hostile,
          outputs: [
            { output_type: 'stream', name: 'stdout', text: `\u001b[31m${hostile}\u001b[0m` },
            { output_type: 'error', ename: 'E', evalue: 'v', traceback: [hostile] },
            data({
              'text/html': `<details><summary>more</summary><table><tr><td style="text-align:right">7</td></tr></table>${hostile}</details>`,
            }),
            data({ 'image/png': 'iVBORw0KGgo=', 'text/plain': 'twin' }),
            data({ 'image/svg+xml': `<svg xmlns="http://www.w3.org/2000/svg">${hostile}</svg>` }),
            data({ 'text/markdown': `**strong** ${hostile}` }),
            data({ 'text/plain': hostile }),
            data({ 'application/json': { a: 1 } }),
          ],
        }),
      ],
    },
    hostile,
  );
  assert.doesNotMatch(page, /<script|<img src="?x|<[a-z]+ [^>]*\sonerror=|href="javascript/i);
  for (const part of [
    /<h1>Title<\/h1>/,
    /<td>1<\/td>/,
    /<details><summary>more/,
    /text-align:right/,
    /data:image\/png;base64,iVBORw0KGgo=/,
    /<img src="data:image\/png;base64,aGVsZA=="/,
    /data:image\/svg\+xml;base64,/,
    /<strong>strong<\/strong>/,
    /&quot;a&quot;: 1/,
  ])
    assert.match(page, part);
  assert.match(page, /Content-Security-Policy/);
});
