import { strict as assert } from 'node:assert';
import { before, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { releaseTraced, startEngine, tf, traced } from '../../src/engine';
import { RepeatedStep, tracingWorks, withoutTracing } from '../../src/engine';
import { normal } from './numeric';
import { type Program, programs, runProgram } from './random-programs';

let works = false;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  works = tracingWorks();
});

let tensors = 0;
beforeEach(() => {
  tensors = tf.memory().numTensors;
});

const handles = (): number =>
  (tf.backend() as unknown as { binding: { getNumOfTensors(): number } }).binding.getNumOfTensors();
const read = (tensor: tf.Tensor): number[] => {
  const values = Array.from(tensor.dataSync());
  tensor.dispose();
  return values;
};

describe('random programs', () => {
  it('give the same values and gradients to the bit, traced or not', async () => {
    await fc.assert(
      fc.asyncProperty(programs, async (program: Program) => {
        const x = normal([3, 4], 5);
        const w = tf.tidy(() => tf.variable(normal([4, 4], 6)));
        const fn = traced('random', () => runProgram(program, x, w));
        const plain = (await withoutTracing(fn)).map(read);
        try {
          for (let call = 0; call < 3; call++) assert.deepEqual(fn().map(read), plain);
          if (works) assert.equal(fn.report().eager, 1, fn.report().reason);
        } finally {
          fn.dispose();
          tf.dispose([x, w]);
        }
      }),
      { numRuns: 200, seed: 7 },
    );
    assert.equal(tf.memory().numTensors, tensors);
  });
});

describe('a repeated step', () => {
  it('adds up with other inputs and assigned weights, and runs its JavaScript twice', () => {
    const owner = {};
    const weight = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    let ran = 0;
    const step = new RepeatedStep(owner, 'repeated', ([x, y]) => {
      ran++;
      // Two products and numbers of its own, of which there are enough to be an input.
      const own = tf.tensor1d(Float32Array.from({ length: 40 }, (_, i) => (i < 2 ? i : 0)));
      return tf.add(tf.add(tf.mul(x, weight), tf.mul(y, 10)), tf.slice(own, 0, 2));
    });
    const call = (x: number[], y: number) => {
      const given = [tf.tensor1d(x), tf.scalar(y)];
      try {
        return read(step.run(given));
      } finally {
        tf.dispose(given);
      }
    };
    assert.deepEqual(call([3, 4], 1), [13, 19]);
    const before = [tf.memory().numTensors, handles()];
    assert.deepEqual(call([3, 5], 1), [13, 21]);
    assert.deepEqual(call([0, 5], 2), [20, 31]);
    assert.deepEqual(call([1, 1], 3), [31, 33]);
    assert.equal(ran, works ? 2 : 4);
    tf.tidy(() => weight.assign(tf.tensor1d([100, 200])));
    assert.deepEqual(call([1, 1], 0), [100, 201]);
    assert.deepEqual(call([2, 1], 0), [200, 201]);
    assert.equal(ran, works ? 3 : 6);
    assert.throws(() => call([1, 2, 3], 0), /shapes|broadcast/);
    assert.deepEqual(call([2, 1], 0), [200, 201]);
    step.forget();
    assert.deepEqual(call([2, 1], 0), [200, 201]);
    step.forget();
    releaseTraced(owner);
    assert.deepEqual([tf.memory().numTensors, handles()], before);
    weight.dispose();
  });

  it('that keeps something runs its JavaScript every time', () => {
    let ran = 0;
    const owner = {};
    const step = new RepeatedStep(owner, 'keeps', ([x]) => {
      ran++;
      tf.keep(tf.mul(x, 3)).dispose();
      const kept = tf.keep(tf.mul(x, 2));
      setImmediate(() => kept.dispose());
      return tf.add(x, 1);
    });
    for (let call = 1; call < 5; call++) {
      const x = tf.scalar(call);
      assert.deepEqual(read(step.run([x])), [call + 1]);
      x.dispose();
      assert.equal(ran, call);
    }
    releaseTraced(owner);
  });
});
