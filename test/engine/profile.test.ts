import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { profileKernels, profileTable, startEngine, tf } from '../../src/engine';

before(async () => {
  await startEngine({ precision: 'float32' });
});

test('a profile names the kernels that ran, and leaves the engine as it was', async () => {
  const a = tf.ones([64, 64]);
  const before = tf.memory().numTensors;
  const profile = await profileKernels(() =>
    tf.tidy(() => tf.sum(tf.matMul(tf.matMul(a, a), tf.exp(a))).dataSync()[0]),
  );
  assert.ok(Math.abs(profile.value / (64 ** 4 * Math.E) - 1) < 1e-4);
  const matmul = profile.kernels.find((k) => k.kernel.startsWith('BatchMatMul'));
  assert.equal(matmul?.calls, 2);
  assert.equal(profile.kernels.find((k) => k.kernel === 'Exp')?.calls, 1);
  const inside = profile.kernels.reduce((sum, k) => sum + k.milliseconds, 0);
  assert.ok(inside > 0 && inside <= profile.elapsed);
  assert.equal(tf.memory().numTensors, before);
  const again = await profileKernels(() => undefined);
  tf.tidy(() => tf.matMul(a, a));
  assert.deepEqual(again.kernels, [], 'nothing is counted after the work');
  const lines = profileTable(profile, 1).split('\n');
  assert.match(lines[1], /other kernels/);
  assert.match(lines[2], /^JavaScript .* ms/);
  a.dispose();
});

test('work that throws leaves the engine as it was', async () => {
  const backend = tf.backend() as unknown as { executeSingleOutput?: unknown };
  const method = backend.executeSingleOutput;
  await assert.rejects(
    profileKernels(() => {
      throw new Error('stop');
    }),
    /stop/,
  );
  assert.equal(backend.executeSingleOutput, method);
});

test('a method that the engine put in place itself is there again', async (t) => {
  if (tf.getBackend() !== 'tensorflow') {
    t.skip('only TensorFlow is watched in this way');
    return;
  }
  const backend = tf.backend() as unknown as { executeSingleOutput: (...args: unknown[]) => unknown };
  const before = Object.getOwnPropertyDescriptor(backend, 'executeSingleOutput');
  const current = backend.executeSingleOutput.bind(backend);
  const own = (...args: unknown[]) => current(...args);
  backend.executeSingleOutput = own;
  await profileKernels(() => tf.tidy(() => tf.exp(tf.ones([2])).dataSync()));
  assert.equal(backend.executeSingleOutput, own);
  delete (backend as { executeSingleOutput?: unknown }).executeSingleOutput;
  if (before) Object.defineProperty(backend, 'executeSingleOutput', before);
});
