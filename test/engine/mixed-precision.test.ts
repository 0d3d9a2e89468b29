import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';

function run(env: Record<string, string>) {
  const args = ['--require', 'ts-node/register/transpile-only', path.join(__dirname, 'mixed-precision.ts')];
  return spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, UNILAB_NATIVE: '0', UNILAB_TRACE: '1', ...env },
  });
}

/** What a run found; undefined, and the test skipped, where TensorFlow is not linked. */
function found(t: TestContext, env: Record<string, string>) {
  const { status, stdout, stderr } = run({ UNILAB_ENGINE: 'tensorflow', ...env });
  if (/is not linked/.test(stderr)) return void t.skip('TensorFlow is not linked here');
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
    last: number;
    exact: number;
    runs: number;
    report: { mixedPrecision: boolean; flavor?: string };
  };
}

/** Whether TensorFlow's rewriting of products to bfloat16 finds instructions for them. */
const hasBfloat16 = (): boolean => {
  try {
    return /^flags.*\b(amx_bf16|avx512_bf16)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
};

describe('mixed precision of compiled functions', () => {
  it('is off: products are those of single operations', (t) => {
    const off = found(t, { UNILAB_PRECISION: 'float32' });
    if (!off) return;
    assert.deepEqual([off.last, off.exact, off.runs], [515, 515, 2]);
    assert.equal(off.report.mixedPrecision, false);
    assert.match(off.report.flavor ?? 'cpu', /^(cpu|cuda)$/);
  });

  it('on, products are rounded where the processor can do so', (t) => {
    const on = found(t, { UNILAB_MIXED_PRECISION: '1' });
    if (!on) return;
    assert.deepEqual([on.report.mixedPrecision, on.runs, on.exact], [true, 2, 515]);
    assert.equal(on.last, hasBfloat16() ? 516 : 515);
  });

  it('is refused where it means nothing', () => {
    const wrong = [
      [{ UNILAB_PRECISION: 'float32', UNILAB_ENGINE: 'tensorflow' }, /with products in bfloat16|is not linked/],
      [{ UNILAB_TRACE: '0', UNILAB_ENGINE: 'tensorflow' }, /for traced functions|is not linked/],
      [{ UNILAB_ENGINE: 'wasm' }, /tensorflow engine's, not wasm's \(unset UNILAB_MIXED_PRECISION\)/],
    ] as const;
    for (const [env, message] of wrong) {
      const { status, stderr } = run({ ...env, UNILAB_MIXED_PRECISION: '1' });
      assert.equal(status, 1);
      assert.match(stderr, message);
    }
  });
});
