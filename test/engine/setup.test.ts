import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { startEngine } from '../../src/engine';

const script = path.resolve(__dirname, '../../scripts/setup/engine.mjs');
const binding = path.resolve(__dirname, '../../scripts/setup/engine-binding.mjs');

interface Binding {
  readonly isWhole: (folder: string) => boolean;
  readonly placeBinding: (built: string, output: string) => void;
}

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

  test('what an earlier build had and this one has not is taken away', async () => {
    const { isWhole, placeBinding } = (await import(pathToFileURL(binding).href)) as Binding;
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'unilab-setup-'));
    const [built, output] = ['built', 'output'].map((name) => path.join(folder, name));
    const write = (where: string, ...names: string[]) => {
      fs.mkdirSync(where, { recursive: true });
      for (const name of names) fs.writeFileSync(path.join(where, name), `${path.basename(where)} ${name}`);
    };
    write(output, 'tfjs_binding.node', 'unilab_ops.node', 'unilab.json');
    write(built, 'tfjs_binding.node');
    placeBinding(built, output);
    assert.deepEqual(fs.readdirSync(output).sort(), ['tfjs_binding.node', 'unilab.json']);
    assert.equal(fs.readFileSync(path.join(output, 'tfjs_binding.node'), 'utf8'), 'built tfjs_binding.node');
    const compiles = isWhole(output) === false; // there is a compiler: without the kernels it is not whole
    write(output, 'unilab_ops.node');
    assert.equal(isWhole(output), true);
    fs.rmSync(folder, { recursive: true });
    // Where they can be compiled, they are: nothing that tests them is left out unseen.
    const report = await startEngine({ quiet: true });
    if (report.engine === 'tensorflow' && process.env.UNILAB_NATIVE !== '0' && compiles) assert.ok(report.ownKernels);
  });
});
