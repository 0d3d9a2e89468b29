import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import { AdamW, Muon, orthogonalized, Rng, startEngine, tf } from '../../src/engine';
import { close, normal } from './numeric';

/** 0.2 x sqrt(2) x 0.1: how far a 2 x 2 matrix moves at the learning rate 0.1, for each of its singular values. */
const STEP = 0.0282843;

describe('Muon', () => {
  before(async () => {
    await startEngine({ precision: 'float32' });
  });

  test('singular values 3 and 4 become about 1: the quintic of 0.6 and 0.8, five times', () => {
    tf.tidy(() => {
      const given = tf.tensor3d([3, 0, 0, 4], [1, 2, 2]);
      close(orthogonalized(given), tf.tensor3d([0.722876, 0, 0, 1.119204], [1, 2, 2]), 1e-5, 'diagonal');
    });
  });

  test('one step by hand: decay, then the orthogonal matrix at the size of an AdamW step', () => {
    const weight = tf.tidy(() => tf.variable(tf.tensor2d([1, 0, 0, 1], [2, 2])));
    const optimizer = new Muon({ learningRate: 0.1, weightDecay: 0.5, orthogonal: () => true });
    tf.tidy(() => {
      optimizer.apply({ weight }, { weight: tf.tensor2d([3, 0, 0, 4], [2, 2]) });
      const after = [0.95 - STEP * 0.722876, 0, 0, 0.95 - STEP * 1.119204];
      close(weight, tf.tensor2d(after, [2, 2]), 1e-6, 'weight');
    });
    optimizer.dispose();
    weight.dispose();
  });

  test('whatever the shape, singular values lie between 0.6 and 1.3, and the directions stay', () => {
    for (const [rows, columns] of [
      [6, 6],
      [4, 9],
      [9, 4],
    ])
      tf.tidy(() => {
        const given = normal([2, rows, columns], rows);
        const found = orthogonalized(given as tf.Tensor3D);
        assert.deepEqual(found.shape, [2, rows, columns]);
        const small = rows <= columns ? tf.matMul(found, found, false, true) : tf.matMul(found, found, true, false);
        // The trace is the sum of squared singular values.
        const trace = tf.sum(tf.mul(small, tf.eye(Math.min(rows, columns))), [1, 2]).dataSync();
        for (const sum of trace) {
          const mean = sum / Math.min(rows, columns);
          assert.ok(mean > 0.6 ** 2 && mean < 1.3 ** 2, `mean squared singular value ${mean}`);
        }
        // G' O is positive definite: a step goes downhill in every direction.
        assert.ok(tf.sum(tf.mul(given, found)).dataSync()[0] > 0);
      });
  });

  test('what is no matrix, or not asked for, is stepped as AdamW steps it', () => {
    const make = () => ({
      table: tf.tidy(() => tf.variable(normal([3, 2], 1))),
      norm: tf.tidy(() => tf.variable(normal([4], 2))),
    });
    const [mine, theirs] = [make(), make()];
    const muon = new Muon({ learningRate: 0.1, orthogonal: (name) => name !== 'table' });
    const adamw = new AdamW({ learningRate: 0.1 });
    for (let i = 0; i < 3; i++)
      tf.tidy(() => {
        const grads = { table: normal([3, 2], 10 + i), norm: normal([4], 20 + i) };
        muon.apply(mine, grads);
        adamw.apply(theirs, grads);
      });
    close(mine.table, theirs.table, 0, 'table');
    close(mine.norm, theirs.norm, 0, 'norm');
    assert.equal(muon.step, 3);
    muon.dispose();
    adamw.dispose();
    tf.dispose([mine, theirs]);
  });

  test('saved and loaded goes on as if never stopped, and leaves no tensor behind', () => {
    const before = tf.memory().numTensors;
    const make = () => ({
      a: tf.tidy(() => tf.variable(normal([3, 5], 1))),
      b: tf.tidy(() => tf.variable(normal([2], 2))),
    });
    const step = (optimizer: Muon, weights: Record<string, tf.Variable>, i: number) =>
      tf.tidy(() => optimizer.apply(weights, { a: normal([3, 5], 30 + i), b: normal([2], 40 + i) }));
    const options = { learningRate: 0.05, orthogonal: () => true };
    const [whole, parts] = [make(), make()];
    const [one, first, second] = [new Muon(options), new Muon(options), new Muon(options)];
    for (let i = 0; i < 4; i++) step(one, whole, i);
    for (let i = 0; i < 2; i++) step(first, parts, i);
    const saved = first.state();
    assert.deepEqual(Object.keys(saved).sort(), ['m.b', 'momentum.a', 'step', 'v.b']);
    second.load(saved);
    tf.dispose(saved);
    for (let i = 2; i < 4; i++) step(second, parts, i);
    close(parts.a, whole.a, 1e-6, 'a');
    close(parts.b, whole.b, 1e-6, 'b');
    for (const optimizer of [one, first, second]) optimizer.dispose();
    tf.dispose([whole, parts]);
    assert.equal(tf.memory().numTensors, before);
  });

  test('down a narrow valley, where curvatures differ by seven orders', () => {
    const rng = new Rng(3);
    const target = tf.tensor2d(rng.normal(64), [8, 8]);
    const scales = tf.tensor2d(
      Array.from({ length: 8 }, (_, i) => 10 ** -(i / 2)),
      [8, 1],
    );
    const run = (optimizer: Muon): number => {
      const weight = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>([8, 8])));
      for (let i = 0; i < 60; i++)
        tf.tidy(() => optimizer.apply({ weight }, { weight: tf.mul(tf.sub(weight, target), tf.square(scales)) }));
      const left = tf.tidy(() => tf.sum(tf.square(tf.mul(tf.sub(weight, target), scales))).dataSync()[0]);
      optimizer.dispose();
      weight.dispose();
      return left;
    };
    const start = tf.tidy(() => tf.sum(tf.square(tf.mul(target, scales))).dataSync()[0]);
    const muon = run(new Muon({ learningRate: 0.1, weightDecay: 0, orthogonal: () => true }));
    assert.ok(muon < start / 4, `${muon} of ${start} is left`);
    tf.dispose([target, scales]);
  });

  test('what cannot be used is refused before anything is changed', () => {
    const weight = tf.tidy(() => tf.variable(tf.ones<tf.Rank.R2>([2, 2])));
    const optimizer = new Muon({ learningRate: 0.1, orthogonal: () => true });
    tf.tidy(() => {
      const apply = (shape: [number, number], rate?: number) => () =>
        optimizer.apply({ weight }, { weight: tf.ones(shape) }, rate);
      assert.throws(apply([2, 3]), /'weight' is \[2,3\]/);
      assert.throws(apply([2, 2], NaN), /learning rate is NaN/);
      assert.throws(() => optimizer.apply({}, { weight: tf.ones([2, 2]) }), /no variable/);
      close(weight, tf.ones([2, 2]), 0, 'weight');
    });
    assert.equal(optimizer.step, 0);
    assert.throws(() => new Muon({ learningRate: 1, orthogonal: () => true, momentum: 1 }), /momentum/);
    weight.dispose();
  });
});
