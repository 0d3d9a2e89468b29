import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { describeHealth, type Health } from '../../src/cli/doctor/health';
import { findKernelspec, jupyterDataPaths } from '../../src/cli/doctor/kernelspec';

const unilab = path.resolve(__dirname, '../../bin/unilab');

describe('doctor', () => {
  test('--json says what runs, how fast, and what is missing', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [unilab, 'doctor', '--json'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const health = JSON.parse(stdout) as Health;
    assert.ok(['tensorflow', 'webgpu', 'wasm'].includes(health.engine?.engine ?? ''));
    assert.match(health.engine?.library ?? '', /^\d+\.\d+/);
    assert.ok((health.matmul.float32 ?? 0) > 0 && (health.matmul.bf16 ?? 0) > 0);
    assert.ok(health.cores >= 1 && health.memory.totalBytes > health.memory.freeBytes);
    assert.equal(health.kernel.installed, health.kernel.folder !== null);
    assert.equal(health.kernel.installed, !health.fixes.some((fix) => fix.includes('kernel is not installed')));
  });

  test('whether functions are traced is what the engine says, not what the process that asks it would', () => {
    const line = (UNILAB_TRACE: string) => {
      const env = { ...process.env, UNILAB_TRACE };
      const { stdout } = spawnSync(process.execPath, [unilab, 'doctor'], { encoding: 'utf8', env });
      return stdout.includes('engine       tensorflow') ? /^traced functions +(\w+)/m.exec(stdout)?.[1] : undefined;
    };
    const [on, off] = [line('1'), line('0')];
    if (on !== undefined) assert.deepEqual([on, off], ['on', 'off']);
  });

  test('an engine that cannot be had is a line with its fix, and exit status 1', () => {
    const env = { ...process.env, UNILAB_ENGINE: 'cuda' };
    const { status, stdout } = spawnSync(process.execPath, [unilab, 'doctor'], { encoding: 'utf8', env });
    assert.equal(status, 1);
    assert.match(stdout, /engine +none starts/);
    assert.match(stdout, /to fix +UNILAB_ENGINE is 'cuda' \(set it to tensorflow, webgpu or wasm/);
  });

  test('a wrong call is status 2 with the usage', () => {
    const args = [unilab, 'doctor', '--measure', 'int8'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /--measure needs float32 or bf16, got 'int8'/);
  });

  test('the kernel is found where Jupyter would find it', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'unilab-doctor-'));
    const env = { JUPYTER_PATH: path.join(folder, 'one'), JUPYTER_DATA_DIR: path.join(folder, 'two') };
    assert.deepEqual(jupyterDataPaths(env).slice(0, 2), [env.JUPYTER_PATH, env.JUPYTER_DATA_DIR]);
    assert.equal(findKernelspec('unilab-for-a-test', env), undefined);
    const spec = path.join(env.JUPYTER_DATA_DIR, 'kernels', 'unilab-for-a-test');
    fs.mkdirSync(spec, { recursive: true });
    assert.equal(findKernelspec('unilab-for-a-test', env), undefined, 'a folder without kernel.json is no kernel');
    fs.writeFileSync(path.join(spec, 'kernel.json'), '{}');
    assert.equal(findKernelspec('unilab-for-a-test', env), spec);
    fs.rmSync(folder, { recursive: true });
  });

  test('people read lines', () => {
    const lines = describeHealth({
      node: 'v20.0.0',
      platform: 'linux x64',
      engine: { engine: 'tensorflow', device: 'cpu', precision: 'bf16', library: '2.21.0', tfjs: '4.22.0' },
      matmul: { size: 2048, float32: 101.5, bf16: null },
      cores: 2,
      memory: { totalBytes: 8 * 2 ** 30, freeBytes: 2 ** 30 },
      kernel: { installed: true, folder: '/k' },
      fixes: ['a is missing (do b)'],
    }).split('\n');
    assert.ok(lines.includes('matmul 2048  float32 101.5 GFLOP/s, bf16 not measured'), lines.join('\n'));
    assert.ok(lines.includes('memory       8.0 GiB, 1.0 GiB free'));
    assert.equal(lines.at(-1), 'to fix       a is missing (do b)');
  });
});
