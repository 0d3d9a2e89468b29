import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { TestKernel } from './kernel';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-endurance-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Cells as a long session has them: values, functions, output, awaits, redefinitions, errors. */
function cell(i: number): string {
  switch (i % 5) {
    case 0:
      return `const value${i % 50} = Array.from({ length: 1000 }, (_, k) => k * ${i});\nvalue${i % 50}.length`;
    case 1:
      return `console.log('cell', ${i});`;
    case 2:
      return `await new Promise((resolve) => setTimeout(resolve, 0));\nconst { length } = 'x'.repeat(${i});\nlength`;
    case 3:
      return `function f(n: number): number { return n + ${i}; }\nf(1)`;
    default:
      return `throw new Error('number ${i}')`;
  }
}

test('1,000 cells: memory stays within 10% once the last 500 are remembered, and cells do not get slower', async () => {
  const kernel = await TestKernel.start(folder, {});
  try {
    // What is alive, not what waits to be collected: a snapshot's own collections are the thorough ones.
    const alive = async (): Promise<number> => {
      const code =
        "const { getHeapSnapshot } = await import('node:v8');\nfor await (const _ of getHeapSnapshot()); process.memoryUsage().heapUsed";
      for (let i = 0; i < 2; i++) await kernel.run(code, { store_history: false });
      return Number((await kernel.run(code, { store_history: false })).result?.['text/plain']);
    };
    /** Processor seconds of the kernel so far: what else the machine does makes cells longer, but hardly these. */
    const spent = async (): Promise<number> => {
      const code = 'const { user, system } = process.cpuUsage(); (user + system) / 1e6';
      return Number((await kernel.run(code, { store_history: false })).result?.['text/plain']);
    };
    const [seconds, used]: [number[], number[]] = [[], []];
    for (let i = 0; i < 1000; i++) {
      const ran = await kernel.run(cell(i));
      assert.equal(ran.reply.status, i % 5 === 4 ? 'error' : 'ok', `${cell(i)}: ${String(ran.reply.evalue)}`);
      if ([249, 449, 799, 999].includes(i)) seconds.push(await spent());
      // The kernel keeps the maps of its last 500 cells, for the traces of errors: until then memory grows by them.
      if (i === 549 || i === 999) used.push(await alive());
    }
    const [warm, end] = used;
    const [early, late] = [seconds[1] - seconds[0], seconds[3] - seconds[2]];
    const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
    console.log(
      `1,000 cells: ${megabytes(warm)} alive after 550, ${megabytes(end)} after 1,000; 200 cells take ${early.toFixed(1)} s of the processor, then ${late.toFixed(1)} s`,
    );
    assert.ok(end < warm * 1.1, `${megabytes(warm)} -> ${megabytes(end)}`);
    // Growth with every cell would do more.
    assert.ok(late < 2 * early, `${early} s -> ${late} s`);
  } finally {
    await kernel.stop();
  }
});

interface Summary {
  readonly notebooks: readonly { readonly status: string; readonly failure?: { reason: string; cell?: number } }[];
}

/** Runs a notebook of these cells headless. */
async function run(
  name: string,
  cells: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<[number | null, Summary]> {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name}.ipynb`);
  const made = cells.map((source, i) => ({
    ...{ cell_type: 'code', id: `c${i}`, metadata: {}, source, outputs: [], execution_count: null },
  }));
  writeFileSync(file, JSON.stringify({ cells: made, metadata: {}, nbformat: 4, nbformat_minor: 5 }));
  const args = ['run', file, '--json', '--out', path.join(folder, `${name}.out.ipynb`)];
  const child = spawn(process.execPath, [path.join(__dirname, '../../bin/unilab'), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return [status, JSON.parse(text) as Summary];
}

test('a cell that eats all memory ends as a reported dead kernel, with exit status 1', async () => {
  const [status, { notebooks }] = await run(
    'memory',
    ['1', 'const kept: number[][] = [];\nfor (;;) kept.push(new Array(100_000).fill(0).map((_, i) => i + 0.5));'],
    { NODE_OPTIONS: '--max-old-space-size=400' },
  );
  assert.equal(status, 1);
  assert.deepEqual([notebooks[0].failure?.reason, notebooks[0].failure?.cell], ['dead', 2]);
});

test('headless, too: a thrown string, a thrown undefined, an exit, a failing update are failed notebooks', async () => {
  const bad = [
    "throw 'words'",
    'throw undefined',
    'process.exit(0)',
    "import { updateDisplay } from 'unilab/display';\nvoid updateDisplay('x', { [Symbol.for('Jupyter.display')]: async () => { throw new Error('no update') } });",
  ];
  for (const [i, source] of bad.entries()) {
    const [status, { notebooks }] = await run(`bad-${i}`, [source, '2']);
    assert.deepEqual([status, notebooks[0].status, notebooks[0].failure?.cell], [1, 'failed', 1], source);
  }
});
