import { strict as assert } from 'node:assert';
import { before, beforeEach, describe, it } from 'node:test';
import { AdamW, checkpoint, onTrace, Rng, runTraced, releaseTraced, startEngine, tf, traced } from '../../src/engine';
import { readValues, TraceError, traceReports, tracingWorks, withoutTracing } from '../../src/engine';

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

describe('a traced function', () => {
  it('gives 2 x + 1, and the slope 2, call after call', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const double = traced('double', (at: tf.Tensor1D) => {
      const slope = tf.grad((y) => tf.add(tf.mul(y, 2), 1))(at);
      return { value: tf.add(tf.mul(at, 2), 1), slope };
    });
    for (let call = 0; call < 4; call++) {
      const { value, slope } = double(x);
      assert.deepEqual(read(value), [3, 5, 7]);
      assert.deepEqual(read(slope), [2, 2, 2]);
    }
    const report = double.report();
    if (works) {
      assert.deepEqual([report.calls, report.eager, report.programs.length, report.programs[0].runs], [4, 1, 1, 3]);
      assert.equal(traceReports().filter(({ name }) => name === 'double').length, 1);
    }
    double.dispose();
    assert.equal(traceReports().filter(({ name }) => name === 'double').length, 0);
    x.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('takes numbers that change as inputs: one program, right values', () => {
    const x = tf.tensor1d([1, 2]);
    const scale = traced('scale', (by: number, table: number[]) => tf.mul(tf.mul(x, by), tf.tensor1d(table)));
    for (const by of [1, 1, 2, 3, -0]) assert.deepEqual(read(scale(by, [by, 5])), [by * by + 0, by * 10]);
    if (works) assert.equal(scale.report().programs.length, 1);
    scale.dispose();
    x.dispose();
  });

  it('follows another branch, another shape, another axis and another attribute, and says why', () => {
    const fn = traced('branches', (x: tf.Tensor, axis: number, transpose: boolean) =>
      axis === 9 ? tf.exp(tf.neg(x)) : tf.sum(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, transpose), axis),
    );
    const square = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const larger = tf.ones([3, 3]);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(read(fn(square, 0, false)), [22, 32]);
      assert.deepEqual(read(fn(square, 1, false)), [17, 37]);
      assert.deepEqual(read(fn(square, 0, true)), [24, 34]);
      assert.deepEqual(read(fn(larger, 0, false)), [9, 9, 9]);
      assert.deepEqual(read(fn(square, 9, false)), Array.from(Float32Array.from([-1, -2, -3, -4], Math.exp)));
    }
    if (works) {
      assert.equal(fn.report().programs.length, 5);
      assert.equal(fn.report().eager, 5);
      assert.match(fn.report().reason ?? '', /in place of|has changed|has another|decide a shape/);
    }
    fn.dispose();
    tf.dispose([square, larger]);
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('assigns variables exactly once, also where it parts from the record after the assignment', () => {
    const count = tf.tidy(() => tf.variable(tf.scalar(0)));
    const step = traced('count', (late: boolean) => {
      count.assign(tf.add(count, 1));
      return late ? tf.mul(count, 10) : tf.add(count, 0.5);
    });
    assert.deepEqual(
      [false, false, true, false, true, true].map((late) => read(step(late))[0]),
      [1.5, 2.5, 30, 4.5, 50, 60],
    );
    step.dispose();
    count.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('keeps an error of its JavaScript, and leaves nothing behind', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const before = handles();
    const fn = traced('throws', (stop: boolean) => {
      const y = tf.exp(x);
      if (stop) throw new RangeError('as asked');
      return y;
    });
    for (const stop of [true, false, false, true, false]) {
      if (stop) assert.throws(() => fn(true), /as asked/);
      else assert.equal(read(fn(false)).length, 3);
    }
    fn.dispose();
    assert.ok(handles() <= before + 1, 'x may have been uploaded meanwhile');
    x.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('tells where a computed value is read', (t) => {
    if (!works) return t.skip('functions are traced on the tensorflow engine alone');
    const x = tf.tensor1d([1, 2, 3]);
    const fn = traced('reads', () => (tf.sum(x).dataSync()[0] > 0 ? tf.exp(x) : tf.neg(x)));
    assert.throws(fn, (error: Error) => error instanceof TraceError && /functions\.test\.ts:\d+/.test(error.message));
    const known = traced('reads what it was given', () => tf.mul(x, x.dataSync()[2]));
    for (let call = 0; call < 3; call++) assert.deepEqual(read(known()), [3, 6, 9]);
    x.dispose();
    known.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('reads outside of the program what does not depend on it, and that alone', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const fn = traced('beside', (by: number) => {
      const [first] = readValues(() => tf.mul(x, by));
      return tf.mul(x, first);
    });
    for (const by of [1, 1, 2, 3]) assert.deepEqual(read(fn(by)), [by, 2 * by, 3 * by]);
    if (works) {
      assert.equal(fn.report().programs.length, 1);
      const inside = traced('inside', () => tf.mul(x, readValues(() => tf.exp(tf.neg(tf.abs(x))))[0]));
      for (let call = 0; call < 3; call++) assert.ok(Math.abs(read(inside())[0] - Math.exp(-1)) < 1e-6);
      const wrong = traced('wrong', () => {
        const y = tf.exp(x);
        return tf.mul(x, readValues(() => tf.neg(y))[0]);
      });
      for (let call = 0; call < 2; call++) assert.throws(wrong, TraceError);
      inside.dispose();
    }
    fn.dispose();
    x.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('refuses a result that is a promise and a shape that depends on values', (t) => {
    if (!works) return t.skip('functions are traced on the tensorflow engine alone');
    const x = tf.tensor1d([1, 0, 3]);
    assert.throws(() => traced('where', () => tf.where(tf.cast(x, 'bool'), x, tf.exp(x)) && whereOf(x))(), TraceError);
    x.dispose();
    assert.equal(tf.memory().numTensors, tensors);
  });

  it('keeps at most as many programs as asked, and forgets an owner’s with it', () => {
    const owner = {};
    for (const size of [2, 3, 4, 2, 3, 4]) {
      const x = tf.ones([size]);
      assert.deepEqual(read(runTraced(owner, 'owned', () => tf.sum(x))), [size]);
      x.dispose();
    }
    if (works) assert.equal(traceReports().find(({ name }) => name === 'owned')?.programs.length, 3);
    releaseTraced(owner);
    assert.equal(traceReports().filter(({ name }) => name === 'owned').length, 0);
    const bounded = traced('bounded', (size: number) => tf.ones([size]), { keep: 2 });
    for (const size of [2, 3, 4, 2, 3, 4]) assert.equal(read(bounded(size)).length, size);
    if (works) assert.ok(bounded.report().programs.length <= 2);
    bounded.dispose();
  });

  it('tells of each compilation, and is the plain function where tracing is off', async () => {
    const told: string[] = [];
    const stop = onTrace(({ name, operations }) => void told.push(`${name} ${operations > 0}`));
    const x = tf.ones([4]);
    const fn = traced('told', () => tf.exp(x));
    for (let call = 0; call < 3; call++) read(fn());
    stop();
    if (works) assert.deepEqual(told, ['told true']);
    const calls = fn.report().calls;
    await withoutTracing(() => read(fn()));
    assert.equal(fn.report().calls, calls);
    fn.dispose();
    x.dispose();
  });
});

/** Positions that are not 0: an operation whose shape depends on values. */
function whereOf(x: tf.Tensor): tf.Tensor {
  const backend = tf.backend() as unknown as { executeSingleOutput(op: string, a: unknown[], i: unknown[]): tf.Tensor };
  const { TF_ATTR_TYPE, TF_FLOAT } = (tf.backend() as unknown as { binding: Record<string, number> }).binding;
  return backend.executeSingleOutput('Where', [{ name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT }], [x]);
}

describe('training under a traced function', () => {
  /** A small network's weights after ten steps of AdamW, and the losses. */
  async function train(tracing: boolean, recompute: boolean): Promise<number[]> {
    const rng = new Rng(11);
    const weights = {
      a: tf.tidy(() => tf.variable(tf.tensor(rng.normal(16 * 16), [16, 16]))),
      b: tf.tidy(() => tf.variable(tf.tensor(rng.normal(16 * 4), [16, 4]))),
    };
    const optimizer = new AdamW({ learningRate: 0.02 });
    const out: number[] = [];
    const hidden = (x: tf.Tensor, a: tf.Tensor): tf.Tensor => tf.tanh(tf.matMul(x as tf.Tensor2D, a as tf.Tensor2D));
    const loss = (x: tf.Tensor2D): tf.Scalar => {
      const h = recompute ? checkpoint(hidden)(x, weights.a) : hidden(x, weights.a);
      return tf.mean(tf.square(tf.matMul(h as tf.Tensor2D, weights.b as tf.Tensor2D)));
    };
    for (let step = 0; step < 10; step++) {
      const x = tf.tensor2d(new Rng(step).normal(8 * 16), [8, 16]);
      const run = async <R extends tf.TensorContainer>(name: string, fn: () => R): Promise<R> =>
        tracing ? runTraced(optimizer, name, fn) : withoutTracing(() => tf.tidy(fn));
      const { value, grads } = await run('loss', () => tf.variableGrads(() => loss(x), Object.values(weights)));
      const named = { a: grads[weights.a.name], b: grads[weights.b.name] };
      await run('update', () => {
        optimizer.apply(weights, named, 0.02 / (step + 1));
        return [];
      });
      out.push(...read(value));
      tf.dispose([grads, x]);
    }
    out.push(...read(tf.concat([tf.reshape(weights.a, [-1]), tf.reshape(weights.b, [-1])])));
    tf.dispose(weights);
    optimizer.dispose();
    return out;
  }

  for (const recompute of [false, true]) {
    it(`equals the single operations to the bit${recompute ? ', with gradient checkpointing' : ''}`, async () => {
      const plain = await train(false, recompute);
      assert.deepEqual(await train(true, recompute), plain);
      assert.notEqual(plain[9], plain[0]);
      assert.deepEqual(traceReports(), [], 'nothing is registered after the optimizer was disposed');
    });
  }
});
