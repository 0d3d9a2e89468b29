import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { startEngine, tf, traced } from '../../src/engine';
import { hasOwnKernel } from '../../src/engine/ops/kernel';
import { linear } from '../../src/engine/ops/layers';
import { normal, rounded } from './numeric';

interface Sides {
  readonly left: boolean;
  readonly right: boolean;
}

/** The product of rounded matrices in float64, and of the numbers' magnitudes: what its errors are small beside. */
function expectedOf(a: tf.Tensor2D, b: tf.Tensor2D, { left, right }: Sides) {
  const [x, y] = [a, b].map((matrix) => rounded(matrix.dataSync<'float32'>()));
  const [rows, inner] = left ? [a.shape[1], a.shape[0]] : a.shape;
  const columns = right ? b.shape[0] : b.shape[1];
  const sum = (of: (p: number) => number) => (i: number, j: number) => {
    let all = 0;
    for (let k = 0; k < inner; k++)
      all += of(x[left ? k * rows + i : i * inner + k] * y[right ? j * inner + k : k * columns + j]);
    return all;
  };
  return { rows, columns, value: sum((p) => p), size: sum(Math.abs) };
}

const matMul = (a: tf.Tensor2D, b: tf.Tensor2D, { left, right }: Sides): tf.Tensor2D => tf.matMul(a, b, left, right);
const matrix = (rows: number, columns: number, seed: number) => normal([rows, columns], seed) as tf.Tensor2D;

describe('products on the matrix unit', () => {
  let lacks: string | false = false;
  before(async () => {
    await startEngine({ precision: 'bf16', quiet: true });
    lacks = !hasOwnKernel('UnilabProduct') && 'this processor has no such unit, or it may not be used';
  });

  test('1 + 2^-9 is rounded to 1, and what is whole is not rounded', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const a = tf.tensor2d([
        [1 + 2 ** -9, 2],
        [3, 4],
      ]);
      const b = tf.tensor2d([
        [5, 6],
        [7, 8],
      ]);
      assert.deepEqual([...tf.matMul(a, b).dataSync()], [19, 22, 43, 50]);
      assert.deepEqual([...tf.matMul(a, b, false, true).dataSync()], [17, 23, 39, 53]);
      assert.deepEqual([...tf.matMul(a, b, true, false).dataSync()], [26, 30, 38, 44]);
    });
  });

  test('a product of any size, from either side, is that of the rounded matrices', (context) => {
    if (lacks) return context.skip(lacks);
    const size = fc.integer({ min: 1, max: 70 });
    const inner = fc.oneof(size, fc.constantFrom(512, 545, 1100));
    fc.assert(
      fc.property(size, inner, size, fc.boolean(), fc.boolean(), (rows, depth, columns, left, right) => {
        tf.tidy(() => {
          const sides = { left, right };
          const a = left ? matrix(depth, rows, 1) : matrix(rows, depth, 1);
          const b = right ? matrix(columns, depth, 2) : matrix(depth, columns, 2);
          const found = matMul(a, b, sides).dataSync();
          const expected = expectedOf(a, b, sides);
          for (let i = 0; i < rows; i += 3)
            for (let j = 0; j < columns; j += 3) {
              const apart = Math.abs(found[i * columns + j] - expected.value(i, j));
              assert.ok(apart <= 2e-6 * expected.size(i, j), `${apart} apart at ${i}, ${j}`);
            }
        });
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  test('a row comes out the same to the bit, however many there are', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const [a, weight] = [matrix(300, 700, 3), matrix(130, 700, 4)];
      const all = tf.matMul(a, weight, false, true);
      for (const rows of [1, 16, 17, 32, 33, 200]) {
        const some = tf.matMul(tf.slice(a, [0, 0], [rows, 700]), weight, false, true);
        assert.deepEqual(some.dataSync(), tf.slice(all, [0, 0], [rows, 130]).dataSync(), `${rows} rows`);
      }
    });
  });

  test('what does not fit the caches is cut into pieces: each column is the same to the bit as among few', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const [inner, columns] = [1300, 1100];
      const a = matrix(70, inner, 3);
      const lying = matrix(inner, columns, 4);
      const all = tf.matMul(a, lying);
      const { value, size } = expectedOf(a, lying, { left: false, right: false });
      const found = all.dataSync();
      for (const [i, j] of [
        [0, 0],
        [31, 1023],
        [32, 1024],
        [69, 1099],
      ]) {
        const apart = Math.abs(found[i * columns + j] - value(i, j));
        assert.ok(apart <= 2e-6 * size(i, j), `${apart} apart at ${i}, ${j}`);
      }
      const standing = tf.transpose(lying);
      const across = tf.transpose(a);
      assert.deepEqual(tf.matMul(across, standing, true, true).dataSync(), found, 'from the other sides');
      for (const [from, count] of [
        [0, 40],
        [1000, 100],
      ]) {
        const some = tf.matMul(a, tf.slice(lying, [0, from], [inner, count]));
        assert.deepEqual(some.dataSync(), tf.slice(all, [0, from], [70, count]).dataSync(), `${count} columns`);
      }
    });
  });

  test('traced, values and gradients are the same to the bit', (context) => {
    if (lacks) return context.skip(lacks);
    const [a, b] = [matrix(90, 60, 5), matrix(50, 60, 6)];
    const both = (x: tf.Tensor2D, y: tf.Tensor2D) => {
      const product = (p: tf.Tensor, q: tf.Tensor) => tf.matMul(p, q, false, true);
      return [product(x, y), ...tf.grads((p, q) => tf.square(product(p, q)))([x, y])];
    };
    const program = traced('products', both);
    const plain = both(a, b);
    for (let call = 0; call < 3; call++) {
      const values = program(a, b);
      values.forEach((value, i) => assert.deepEqual(value.dataSync(), plain[i].dataSync(), `call ${call}, value ${i}`));
      tf.dispose(values);
    }
    assert.equal(program.report().programs[0].runs, 2);
    program.dispose();
    tf.dispose([a, b, plain]);
  });

  test('a linear map begins its sums with the bias: of any size, to the bit the same in every number of rows', (context) => {
    if (lacks || !hasOwnKernel('UnilabLinear'))
      return context.skip(lacks || 'the kernels are older: run `make engine`');
    tf.tidy(() => {
      const ones = linear(tf.ones([2, 3]), tf.ones([2, 3]), tf.tensor1d([0.5, -1]));
      assert.deepEqual(ones.arraySync(), [
        [3.5, 2],
        [3.5, 2],
      ]);
    });
    for (const [inner, outputs] of [
      [3, 1],
      [60, 33],
      [700, 130],
      [1100, 48],
    ]) {
      tf.tidy(() => {
        const [x, weight, bias] = [matrix(300, inner, 3), matrix(outputs, inner, 4), normal([outputs], 5)];
        const all = linear(x, weight, bias);
        const { value, size } = expectedOf(x, weight, { left: false, right: true });
        const [found, b] = [all.dataSync(), bias.dataSync()];
        for (let i = 0; i < 300; i += 7)
          for (let j = 0; j < outputs; j++) {
            const apart = Math.abs(found[i * outputs + j] - value(i, j) - b[j]);
            assert.ok(apart <= 2e-6 * (size(i, j) + Math.abs(b[j])), `${apart} apart at ${i}, ${j}`);
          }
        for (const rows of [1, 16, 17, 32, 33, 200]) {
          const some = linear(tf.slice(x, [0, 0], [rows, inner]), weight, bias);
          assert.deepEqual(some.dataSync(), tf.slice(all, [0, 0], [rows, outputs]).dataSync(), `${rows} rows`);
        }
      });
    }
  });

  test('its gradients are those of a product and a sum, and none of what is frozen is computed', (context) => {
    if (lacks || !hasOwnKernel('UnilabLinear'))
      return context.skip(lacks || 'the kernels are older: run `make engine`');
    tf.tidy(() => {
      const [x, weight, bias] = [matrix(90, 60, 5), matrix(50, 60, 6), normal([50], 7)];
      const composed = (p: tf.Tensor, q: tf.Tensor, r: tf.Tensor) => tf.add(tf.matMul(p, q, false, true), r);
      const gradients = (map: typeof composed) =>
        tf.grads((p, q, r) => tf.sum(tf.sin(map(p, q, r))))([x, weight, bias]);
      const [own, expected] = [gradients(linear), gradients(composed)];
      own.forEach((gradient, i) => {
        const apart = tf.max(tf.abs(tf.sub(gradient, expected[i]))).dataSync()[0];
        const most = tf.max(tf.abs(expected[i])).dataSync()[0];
        assert.ok(apart <= 1e-4 * most, `gradient ${i}: ${apart} apart, largest ${most}`);
      });
      const column = tf.valueAndGrads((r) => tf.sum(linear(x, weight, r)))([bias]);
      assert.deepEqual([...column.grads[0].dataSync()], new Array<number>(50).fill(90));
      const deep = tf.grads((p, q, r) => tf.sum(tf.sin(linear(p, q, r))))([tf.reshape(x, [3, 30, 60]), weight, bias]);
      deep.forEach((gradient, i) => assert.deepEqual(gradient.dataSync(), own[i].dataSync(), `gradient ${i}, rank 3`));
      const frozen = tf.grad((p) => tf.sum(tf.sin(linear(p, weight, bias))))(x);
      assert.deepEqual(frozen.dataSync(), own[0].dataSync());
    });
  });

  test('an empty matrix has an empty product, or one of zeros', () =>
    tf.tidy(() => {
      assert.deepEqual(tf.matMul(tf.zeros([0, 3]), tf.zeros([3, 2])).shape, [0, 2]);
      assert.deepEqual([...tf.matMul(tf.zeros([1, 0]), tf.zeros([0, 2])).dataSync()], [0, 0]);
    }));
});
