import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rng } from '../../src/engine/random';
import { eventually } from '../eventually';

const root = mkdtempSync(path.join(tmpdir(), 'unilab-stop-'));
after(() => rmSync(root, { recursive: true, force: true }));

const unilab = path.join(__dirname, '../../bin/unilab');
const posix = { skip: process.platform === 'win32' };

interface Run {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals | null>;
  said: string;
}

function text(cells: readonly string[]): string {
  const made = cells.map((source, i) => ({
    cell_type: 'code',
    id: `cell-${i}`,
    metadata: {},
    source,
    outputs: [],
    execution_count: null,
  }));
  return JSON.stringify({ cells: made, metadata: {}, nbformat: 4, nbformat_minor: 5 });
}

/** Runs a notebook in a folder of its own, with a folder for temporary files in it. */
function run(
  cells: readonly string[],
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  folder = mkdtempSync(path.join(root, 'run-')),
): Run {
  writeFileSync(path.join(folder, 'case.ipynb'), text(cells));
  mkdirSync(path.join(folder, 'temp'), { recursive: true });
  const child = spawn(process.execPath, [unilab, 'run', 'case.ipynb', ...args], {
    cwd: folder,
    env: { ...process.env, TMPDIR: path.join(folder, 'temp'), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  );
  const started: Run = { folder, child, ended, said: '' };
  child.stderr?.on('data', (data: Buffer) => (started.said += data.toString()));
  return started;
}

/** Waits until a cell has written this file. */
function until(started: Run, mark: string): Promise<void> {
  return eventually(() => assert.ok(existsSync(path.join(started.folder, mark)), started.said));
}

/** The outputs of a notebook on the disk, as text, one for each cell. @throws Error when it is no JSON */
function outputs(file: string): string[] {
  const { cells } = JSON.parse(readFileSync(file, 'utf8')) as { cells: { outputs: unknown[] }[] };
  return cells.map((cell) => JSON.stringify(cell.outputs));
}

const temporary = ({ folder }: Run): string[] =>
  readdirSync(path.join(folder, 'temp')).filter((name) => name.startsWith('unilab'));

const begun = "require('node:fs').writeFileSync('begun', '')";
/** Says that it has begun when it waits, after what it prints. */
const long = `console.log('begun to train'); setImmediate(() => ${begun}); await new Promise((r) => setTimeout(r, 3_600_000));`;

test('each signal that ends a run leaves notebook and page with what ran, and nothing else', posix, async () => {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const started = run(
      ["console.log('an hour of training');", long, "console.log('never')"],
      ['--out', 'out.ipynb', '--html', 'out.html'],
    );
    await until(started, 'begun');
    started.child.kill(signal);
    assert.equal(await started.ended, status, started.said);
    const [first, second, third] = outputs(path.join(started.folder, 'out.ipynb'));
    assert.match(first, /an hour of training/);
    assert.match(second, new RegExp(`begun to train.*Interrupted.*run: stopped.*${signal}`));
    assert.equal(third, '[]');
    assert.match(readFileSync(path.join(started.folder, 'out.html'), 'utf8'), /an hour of training[^]*begun to train/);
    assert.deepEqual(temporary(started), []);
  }
});

test('a second signal ends at once, also a cell that never yields', posix, async () => {
  const started = run(
    ["console.log('kept')", `await null; ${begun}; try { for (;;) Math.sqrt(2); } finally { for (;;); }`],
    ['--out', 'out.ipynb'],
  );
  await until(started, 'begun');
  started.child.kill('SIGTERM');
  // Two signals at one time are one to the system. Whoever waits longer says it again.
  const again = setInterval(() => started.child.kill('SIGTERM'), 1000);
  assert.equal(await started.ended, 143);
  clearInterval(again);
  assert.match(outputs(path.join(started.folder, 'out.ipynb'))[0], /kept/);
  assert.deepEqual(temporary(started), []);
});

test('a run that is stopped before its first cell writes nothing', posix, async () => {
  // The kernel, whose connection file is among its arguments, does nothing at all.
  const held = path.join(root, 'held.cjs');
  const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
  writeFileSync(held, `if (/connection\\.json/.test(process.argv.join())) ${wait};`);
  const started = run(['1'], ['--out', 'out.ipynb'], { NODE_OPTIONS: `--require ${held}` });
  await eventually(() => assert.equal(temporary(started).length, 1));
  started.child.kill('SIGTERM');
  assert.equal(await started.ended, 143);
  assert.ok(!existsSync(path.join(started.folder, 'out.ipynb')));
  assert.deepEqual(temporary(started), []);
  const failed = run(['1'], ['--out', 'case.ipynb', '--start-timeout', '0.001']);
  assert.equal(await failed.ended, 1);
  assert.equal(readFileSync(path.join(failed.folder, 'case.ipynb'), 'utf8'), text(['1']));
});

test(
  'a runner that is killed leaves every finished cell, and the next run removes its temporary files',
  posix,
  async () => {
    const cells = Array.from(
      { length: 40 },
      (_, i) => `console.log('cell ${i}'); require('node:fs').writeFileSync('at-${i}', '')`,
    );
    let folder: string | undefined;
    for (const last of [3, 11, 24]) {
      const started = run(cells, ['--out', 'out.ipynb'], {}, folder);
      ({ folder } = started);
      await until(started, `at-${last}`);
      started.child.kill('SIGKILL');
      await started.ended;
      const saved = outputs(path.join(folder, 'out.ipynb'));
      for (let i = 0; i < last; i++) assert.match(saved[i], new RegExp(`cell ${i}\\b`));
      assert.equal(temporary(started).length, 1);
      for (let i = 0; i < 40; i++) rmSync(path.join(folder, `at-${i}`), { force: true });
    }
    const next = run(['1'], ['--out', 'out.ipynb'], {}, folder);
    assert.equal(await next.ended, 0, next.said);
    assert.deepEqual(temporary(next), []);
    assert.deepEqual(
      readdirSync(next.folder).filter((name) => name.endsWith('.partial')),
      [],
    );
  },
);

test(
  'SIGTERM at ten random moments of a long notebook: it is valid, with every cell that had ended',
  posix,
  async () => {
    const rng = new Rng(14);
    const cells = Array.from(
      { length: 50 },
      (_, i) =>
        // The last one never ends: the signal always finds the run going on.
        `require('node:fs').writeFileSync('at-${i}', ''); console.log('cell ${i}'); await new Promise((r) => setTimeout(r, ${i < 49 ? 20 : 3_600_000}));`,
    );
    const stop = async (): Promise<void> => {
      const [last, wait] = [rng.int(45), rng.int(60)];
      const started = run(cells, ['--out', 'out.ipynb', '--html', 'out.html']);
      await until(started, `at-${last}`);
      await sleep(wait);
      started.child.kill('SIGTERM');
      assert.equal(await started.ended, 143, started.said);
      const saved = outputs(path.join(started.folder, 'out.ipynb'));
      assert.equal(saved.length, 50);
      for (let i = 0; i < last; i++) assert.match(saved[i], new RegExp(`cell ${i}\\b`));
      assert.deepEqual(temporary(started), []);
    };
    for (let pair = 0; pair < 5; pair++) await Promise.all([stop(), stop()]);
  },
);

test('a place that cannot be written fails the run, and says so', posix, async () => {
  // The system's own folder refuses even those who may write everywhere.
  const place = process.getuid?.() === 0 ? '/proc' : mkdtempSync(path.join(root, 'closed-'));
  if (place !== '/proc') chmodSync(place, 0o555);
  const started = run(
    ["console.log('ran'); require('node:fs').writeFileSync('done', '')"],
    ['--out', path.join(place, 'out.ipynb')],
  );
  assert.equal(await started.ended, 1);
  assert.match(started.said, /out\.ipynb was not written/);
  assert.ok(existsSync(path.join(started.folder, 'done')));
  assert.deepEqual(temporary(started), []);
});

test('a kernel that dies leaves what its cell had shown', posix, async () => {
  const started = run(
    [
      "console.log('first')",
      "console.log('shown'); await new Promise((r) => setTimeout(r, 500)); process.kill(process.pid, 'SIGKILL')",
    ],
    ['--out', 'out.ipynb'],
  );
  assert.equal(await started.ended, 1);
  const [first, second] = outputs(path.join(started.folder, 'out.ipynb'));
  assert.match(first, /first/);
  assert.match(second, /shown.*run: dead/);
  assert.deepEqual(temporary(started), []);
});

test('a disk that is full for a while does not end the run; one that is full at the end fails it', posix, async () => {
  const full = path.join(root, 'full.cjs');
  writeFileSync(full, "process.on('SIGXFSZ', () => {});");
  const folder = mkdtempSync(path.join(root, 'full-'));
  writeFileSync(
    path.join(folder, 'case.ipynb'),
    text(["console.log('x'.repeat(300_000))", "require('node:fs').writeFileSync('done', '')"]),
  );
  writeFileSync(path.join(folder, 'out.ipynb'), 'the old one');
  const options = {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: `--require ${full}` },
  } as const;
  const script = 'ulimit -f 200; exec "$0" "$1" run case.ipynb --out out.ipynb';
  const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, unilab], options);
  assert.equal(status, 1);
  assert.equal(stderr.match(/not saved so far/g)?.length, 1);
  assert.match(stderr, /failed: .*out\.ipynb was not written, and is as it was: .*EFBIG/);
  assert.ok(existsSync(path.join(folder, 'done')));
  assert.equal(readFileSync(path.join(folder, 'out.ipynb'), 'utf8'), 'the old one');
});

test('a pipe gets the notebook once', posix, async () => {
  const pipe = path.join(root, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'ignore'] });
  let read = '';
  reader.stdout.on('data', (data: Buffer) => (read += data.toString()));
  const closed = new Promise((resolve) => reader.once('close', resolve));
  assert.equal(await run(['1 + 1', '2 + 2'], ['--out', pipe]).ended, 0);
  await closed;
  assert.equal((JSON.parse(read) as { cells: unknown[] }).cells.length, 2);
});
