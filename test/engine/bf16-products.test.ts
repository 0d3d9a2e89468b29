import { strict as assert } from 'node:assert';
import { mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import { inFloat32, needsBf16Casts, useBf16Products } from '../../src/engine/bf16-products';

const rng = new Rng(5);
const normal = (name: string, shape: number[]) =>
  tf.tensor(rng.split(name).normal(tf.util.sizeFromShape(shape)), shape);

/** Root mean square of the difference, as a share of the reference's. */
function apart(value: tf.Tensor, reference: tf.Tensor): number {
  return tf.tidy(() => {
    const size = (x: tf.Tensor) => Math.sqrt(tf.mean(tf.square(x)).dataSync()[0]);
    return size(tf.sub(value, reference)) / size(reference);
  });
}

/** Rounded to bfloat16 somewhere, but not more than it takes. */
function assertBf16(value: tf.Tensor, reference: tf.Tensor): void {
  const error = apart(value, reference);
  assert.ok(error > 1e-4 && error < 1e-2, `${error} apart`);
}

describe('products in bfloat16', () => {
  const [rows, inner, columns] = [300, 256, 400];
  let onTensorflow = false;
  before(async () => {
    // float32: oneDNN must not round by itself, or there would be nothing to see.
    onTensorflow = (await startEngine({ precision: 'float32', quiet: true })).engine === 'tensorflow';
  });

  test('a CPU with AVX-512 bfloat16 and without AMX needs them', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cpuinfo-'));
    const needs = (flags: string) => {
      const file = path.join(folder, 'cpuinfo');
      writeFileSync(file, `processor\t: 0\nflags\t\t: fpu sse ${flags}\nbugs\t\t: none\n`);
      return needsBf16Casts(file);
    };
    assert.equal(needs('avx512f avx512_bf16 avx512_vnni'), true);
    assert.equal(needs('avx512f avx512_bf16 amx_bf16 amx_tile'), false);
    assert.equal(needs('avx512f'), false);
    assert.equal(needsBf16Casts(path.join(folder, 'nothing here')), false);
  });

  test('large products and convolutions are rounded, in value and gradient; small ones and those inFloat32 are not', (context) => {
    if (!onTensorflow) return context.skip('the tensorflow engine is not linked');
    const a = normal('a', [rows, inner]) as tf.Tensor2D;
    const b = normal('b', [columns, inner]) as tf.Tensor2D;
    const x = normal('x', [8, 32, 32, 32]) as tf.Tensor4D;
    const k = normal('k', [3, 3, 32, 32]) as tf.Tensor4D;
    const small = normal('small', [20, inner]) as tf.Tensor2D;
    const works: Record<string, () => tf.Tensor> = {
      product: () => tf.matMul(a, b, false, true),
      'gradient of the left': () =>
        tf.grad((left) => tf.sum(tf.square(tf.matMul(left as tf.Tensor2D, b, false, true))))(a),
      'gradient of the right': () =>
        tf.grad((right) => tf.sum(tf.square(tf.matMul(a, right as tf.Tensor2D, false, true))))(b),
      convolution: () => tf.conv2d(x, k, 1, 'same'),
      'gradient of the image': () =>
        tf.grad((image) => tf.sum(tf.square(tf.conv2d(image as tf.Tensor4D, k, 1, 'same'))))(x),
      'gradient of the kernel': () =>
        tf.grad((filter) => tf.sum(tf.square(tf.conv2d(x, filter as tf.Tensor4D, 1, 'same'))))(k),
    };
    const tiny = () => tf.matMul(small, small, false, true);
    const references = Object.fromEntries(Object.entries(works).map(([name, work]) => [name, work()]));
    const tinyReference = tiny();
    useBf16Products();
    useBf16Products(); // a second call changes nothing
    const before = tf.memory().numTensors;
    for (const [name, work] of Object.entries(works)) {
      const value = work();
      assert.deepEqual(value.shape, references[name].shape, name);
      assert.equal(value.dtype, 'float32');
      assertBf16(value, references[name]);
      value.dispose();
    }
    tf.tidy(() => {
      assert.equal(apart(inFloat32(works.product), references.product), 0);
      assert.equal(apart(inFloat32(works.convolution), references.convolution), 0);
      assert.equal(apart(tiny(), tinyReference), 0);
    });
    // An error inside gives the rounding back.
    assert.throws(() => inFloat32(() => tf.matMul(a, a)), /incompatible/i);
    tf.tidy(() => assertBf16(works.product(), references.product));
    assert.equal(tf.memory().numTensors, before);
  });
});
