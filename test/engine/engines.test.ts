import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, test } from 'node:test';

const root = path.resolve(__dirname, '../..');

interface Outcome {
  readonly engine: string;
  readonly losses: number[];
  readonly tensors: number[];
}

function node(args: string[], env: Record<string, string>) {
  return spawnSync(process.execPath, ['--require', 'ts-node/register/transpile-only', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
}

function train(engine: string): Outcome {
  const { status, stdout, stderr } = node([path.join(__dirname, 'tiny-model.ts')], { UNILAB_ENGINE: engine });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Outcome;
}

/** Starts an engine and prints its report or its error. */
const start = `require('./src/engine').startEngine().then((r) => console.log(JSON.stringify(r)), (e) => console.log(e.name + ': ' + e.message)).then(() => process.exit(0))`;

describe('engines', () => {
  const wasm = train('wasm');

  test('wasm trains, and no tensor stays behind', () => {
    assert.equal(wasm.engine, 'wasm');
    assert.ok(wasm.losses[7] < wasm.losses[0] - 0.5, `losses ${wasm.losses.join(' ')}`);
    assert.equal(new Set(wasm.tensors).size, 1, `tensors ${wasm.tensors.join(' ')}`);
  });

  const runTests = (file: string, env: Record<string, string>) => {
    const { status, stdout } = node([path.join(__dirname, file)], { ...env, NODE_TEST_CONTEXT: '' });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /pass [1-9]/);
  };

  test('every operation and the optimizer pass their tests on wasm', () => {
    for (const file of ['ops.test.ts', 'optimizer.test.ts']) runTests(file, { UNILAB_ENGINE: 'wasm' });
  });

  test('every operation passes its tests on TensorFlow without our own kernels', () => {
    runTests('ops.test.ts', { UNILAB_NATIVE: '0' });
  });

  test('tensorflow takes the same steps', (t) => {
    if (node(['-e', start], { UNILAB_ENGINE: 'tensorflow' }).stdout.startsWith('EngineError')) {
      t.skip('TensorFlow is not linked here');
      return;
    }
    const tensorflow = train('tensorflow');
    wasm.losses.forEach((loss, i) => {
      assert.ok(Math.abs(loss - tensorflow.losses[i]) < 1e-3, `step ${i}: ${loss} and ${tensorflow.losses[i]}`);
    });
    assert.equal(new Set(tensorflow.tensors).size, 1, `tensors ${tensorflow.tensors.join(' ')}`);
  });

  test('webgpu takes the same steps where an adapter answers, or says what to do', (t) => {
    const { stdout } = node(['-e', start], { UNILAB_ENGINE: 'webgpu' });
    if (stdout.startsWith('EngineError')) {
      assert.match(stdout, /^EngineError: .+ \(.+\)/);
      t.diagnostic(stdout.trim());
      return;
    }
    const webgpu = train('webgpu');
    wasm.losses.forEach((loss, i) => {
      assert.ok(Math.abs(loss - webgpu.losses[i]) < 1e-3, `step ${i}: ${loss} and ${webgpu.losses[i]}`);
    });
  });

  test('an engine that does not exist is an error that names those that do', () => {
    const { stdout } = node(['-e', start], { UNILAB_ENGINE: 'cuda' });
    assert.match(stdout, /^EngineError: UNILAB_ENGINE is 'cuda' \(set it to tensorflow, webgpu or wasm/);
  });
});
