import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';

const script = path.resolve(__dirname, '../../scripts/setup/engine.mjs');

/** Runs the set-up with nothing in PATH and an empty UNILAB_HOME: it can link nothing and must change nothing. */
function bareMachine(args: readonly string[] = [], more: Readonly<Record<string, string>> = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'unilab-setup-'));
  const env = { ...process.env, PATH: folder, UNILAB_HOME: path.join(folder, 'home'), ...more };
  const done = spawnSync(process.execPath, [script, ...args], { env, encoding: 'utf8' });
  const left = fs.existsSync(path.join(folder, 'home', 'engine'))
    ? fs.readdirSync(path.join(folder, 'home', 'engine'))
    : [];
  fs.rmSync(folder, { recursive: true });
  return { ...done, left };
}

describe('engine set-up', { skip: process.platform !== 'linux' && 'TensorFlow is linked on Linux only' }, () => {
  test('names everything that is missing, one line each, and leaves it to wasm', () => {
    const { status, stderr, left } = bareMachine();
    assert.equal(status, 0);
    const lines = stderr.trim().split('\n');
    assert.match(lines[0], /^engine: Python 3 is missing .*install python3/);
    assert.match(lines[1], /^engine: a C\+\+ compiler is missing: install g\+\+/);
    assert.match(lines[2], /^engine: make is missing/);
    assert.match(lines.at(-1) ?? '', /the wasm engine takes over/);
    assert.deepEqual(left, [], 'neither a lock nor a part stays behind');
  });

  test('--require makes that a failure', () => {
    assert.equal(bareMachine(['--require']).status, 1);
  });

  test('UNILAB_TENSORFLOW chooses the libraries; what is neither cpu nor cuda is named', () => {
    assert.match(bareMachine([], { UNILAB_TENSORFLOW: 'rocm' }).stderr, /'rocm': set it to cpu or cuda, or unset it\./);
    const forced = bareMachine([], { UNILAB_TENSORFLOW: 'cuda' }).stderr;
    assert.match(forced, process.arch === 'x64' ? /^engine: Python 3 is missing/ : /CUDA libraries for x64/);
  });
});
