import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import {
  AdamW,
  type AdamWOptions,
  clipByGlobalNorm,
  globalNorm,
  startEngine,
  Rng,
  tf,
  warmupConstant,
  warmupCosine,
} from '../../src/engine';
import { hasOwnKernel } from '../../src/engine/ops/kernel';
import { OwnMoments, PlainMoments } from '../../src/engine/ops/moments';
import { close, normal } from './numeric';

/** PyTorch's AdamW on one list of numbers, in float64, as its documentation writes it. */
function reference(
  weights: number[],
  grads: number[][],
  o: Required<Omit<AdamWOptions, 'decay' | 'rate'>>,
  decays: boolean,
) {
  const [w, m, v] = [[...weights], weights.map(() => 0), weights.map(() => 0)];
  grads.forEach((g, index) => {
    const t = index + 1;
    for (let i = 0; i < w.length; i++) {
      if (decays) w[i] -= o.learningRate * o.weightDecay * w[i];
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] ** 2;
      const mHat = m[i] / (1 - o.beta1 ** t);
      const vHat = v[i] / (1 - o.beta2 ** t);
      w[i] -= (o.learningRate * mHat) / (Math.sqrt(vHat) + o.epsilon);
    }
  });
  return w;
}

const options = { learningRate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1 };

function train(optimizer: AdamW, weights: Record<string, tf.Variable>, grads: number[][]): void {
  for (const list of grads) {
    tf.tidy(() => optimizer.apply(weights, { decayed: tf.tensor1d(list), free: tf.tensor1d(list) }));
  }
}

describe('AdamW', () => {
  before(async () => {
    await startEngine({ precision: 'float32' });
  });

  const start = [...new Rng(1).normal(5)];
  const grads = Array.from({ length: 20 }, (_, i) => [...new Rng(100 + i).normal(5)]);
  const variable = () => tf.tidy(() => tf.variable(tf.tensor1d(start)));
  const weights = () => ({ decayed: variable(), free: variable() });
  const ruleOf = (i: number) => ({
    ...options,
    steps: i + 1,
    correction2: Math.sqrt(1 - options.beta2 ** (i + 1)),
    tensors: new Map<string, tf.Tensor1D>(),
  });
  const make = () => new AdamW({ ...options, decay: (name) => name === 'decayed' });

  test('numbers are PyTorch’s, with and without decay', () => {
    const [w, optimizer] = [weights(), make()];
    train(optimizer, w, grads);
    tf.tidy(() => {
      close(w.decayed, tf.tensor1d(reference(start, grads, options, true)), 1e-5, 'decayed');
      close(w.free, tf.tensor1d(reference(start, grads, options, false)), 1e-5, 'free');
    });
    optimizer.dispose();
    tf.dispose([w.decayed, w.free]);
  });

  test('a variable may have a learning rate of its own', () => {
    const w = weights();
    const optimizer = new AdamW({ ...options, rate: (name, rate) => (name === 'free' ? 3 * rate : rate) });
    train(optimizer, w, grads);
    tf.tidy(() => {
      close(w.decayed, tf.tensor1d(reference(start, grads, options, true)), 1e-5, 'as it is');
      const faster = { ...options, learningRate: 3 * options.learningRate };
      close(w.free, tf.tensor1d(reference(start, grads, faster, true)), 1e-5, 'faster');
    });
    optimizer.dispose();
    tf.dispose([w.decayed, w.free]);
  });

  test('plain moments take the same steps', () => {
    const [w, moments] = [variable(), new PlainMoments([5])];
    grads.forEach((g, i) => {
      tf.tidy(() => moments.update(w, tf.tensor1d(g), 1 - options.learningRate * options.weightDecay, ruleOf(i)));
    });
    tf.tidy(() => close(w, tf.tensor1d(reference(start, grads, options, true)), 1e-5, 'plain'));
    moments.dispose();
    w.dispose();
  });

  test('our own kernel takes the steps of plain moments, of many weights at once', (context) => {
    if (!hasOwnKernel('UnilabAdamW')) return context.skip('there is no such kernel: run `make engine`');
    const shape = [300, 130];
    const empty = tf.memory().numTensors;
    const [own, plain] = [new OwnMoments(shape), new PlainMoments(shape)];
    const [w, expected] = tf.tidy(() => [tf.variable(normal(shape, 1)), tf.variable(normal(shape, 1))]);
    const read: [tf.Tensor, Float32Array][] = [];
    for (let i = 0; i < 4; i++) {
      for (const moment of own.read()) read.push([moment, Float32Array.from(moment.dataSync())]);
      const rule = ruleOf(i);
      tf.tidy(() => {
        own.update(w, normal(shape, 10 + i), 0.999, rule);
        plain.update(expected, normal(shape, 10 + i), 0.999, rule);
      });
      assert.equal(rule.tensors.size, 1);
      tf.dispose([...rule.tensors.values()]);
    }
    tf.tidy(() => {
      close(w, expected, 1e-6, 'weights');
      own.read().forEach((moment, k) => close(moment, plain.read()[k], 1e-6, `moment ${k}`));
    });
    for (const [moment, values] of read) assert.deepEqual(Float32Array.from(moment.dataSync()), values, 'read before');
    own.dispose();
    plain.dispose();
    tf.dispose([w, expected, ...read.map(([moment]) => moment)]);
    assert.equal(tf.memory().numTensors, empty);
  });

  test('a saved and loaded optimizer goes on exactly', () => {
    const [straight, resumed] = [weights(), weights()];
    const [a, b, c] = [make(), make(), make()];
    train(a, straight, grads);
    train(b, resumed, grads.slice(0, 10));
    const state = b.state();
    assert.deepEqual(Object.keys(state).sort(), ['m.decayed', 'm.free', 'step', 'v.decayed', 'v.free']);
    const before = state['m.free'].dataSync().slice();
    c.load(state);
    train(c, resumed, grads.slice(10));
    assert.deepEqual(state['m.free'].dataSync(), before, 'a saved state does not move with the optimizer');
    assert.deepEqual(resumed.decayed.dataSync(), straight.decayed.dataSync());
    assert.deepEqual(resumed.free.dataSync(), straight.free.dataSync());
    assert.equal(c.step, 20);
    tf.dispose([state, straight.decayed, straight.free, resumed.decayed, resumed.free]);
    for (const optimizer of [a, b, c]) optimizer.dispose();
  });

  test('a step does not change tensors that shared the weight’s memory', () => {
    const w = variable();
    const optimizer = new AdamW({ learningRate: 0.1, weightDecay: 0 });
    const copies: [tf.Tensor, Float32Array][] = [];
    for (const g of grads.slice(0, 3)) {
      copies.push([w.clone(), Float32Array.from(w.dataSync())]);
      tf.tidy(() => optimizer.apply({ w }, { w: tf.tensor1d(g) }));
    }
    for (const [copy, values] of copies) assert.deepEqual(Float32Array.from(copy.dataSync()), values);
    tf.dispose([w, ...copies.map(([copy]) => copy)]);
    optimizer.dispose();
  });

  test('50 steps leave no tensor behind, and dispose frees the rest', () => {
    const empty = tf.memory().numTensors;
    const [w, optimizer] = [weights(), make()];
    train(optimizer, w, grads.slice(0, 1));
    const count = tf.memory().numTensors;
    for (let i = 0; i < 50; i++) train(optimizer, w, grads.slice(0, 1));
    assert.equal(tf.memory().numTensors, count);
    optimizer.dispose();
    tf.dispose([w.decayed, w.free]);
    assert.equal(tf.memory().numTensors, empty);
  });

  test('what does not fit is named', () => {
    const w = weights();
    const optimizer = make();
    assert.throws(() => optimizer.apply(w, { other: tf.zeros([5]) }), /no such variable/);
    assert.throws(() => optimizer.apply(w, { free: tf.zeros([4]) }), /its gradient \[4\]/);
    assert.throws(() => optimizer.apply(w, {}, NaN), /learning rate is NaN/);
    assert.throws(() => optimizer.load({ step: tf.scalar(1), 'm.a': tf.zeros([1]) }), /no 'v.a'/);
    assert.throws(() => new AdamW({ learningRate: 1, beta2: 1 }), /beta2/);
  });
});

describe('clipping and schedules', () => {
  before(async () => {
    await startEngine({ precision: 'float32' });
  });

  test('the norm runs over all tensors, and clipping scales to it', () =>
    tf.tidy(() => {
      const grads = { a: normal([3, 4], 1), b: normal([7], 2) };
      const all = [...grads.a.dataSync(), ...grads.b.dataSync()];
      const norm = Math.sqrt(all.reduce((sum, x) => sum + x * x, 0));
      assert.ok(Math.abs(globalNorm(grads).dataSync()[0] - norm) < 1e-5);
      const clipped = clipByGlobalNorm(grads, norm / 2);
      close(clipped.norm, tf.scalar(norm), 1e-6, 'norm before clipping');
      close(clipped.grads.b, tf.mul(grads.b, 0.5), 1e-6, 'scaled');
      close(clipByGlobalNorm(grads, norm * 2).grads.a, grads.a, 1e-9, 'left alone');
      assert.equal(globalNorm({}).dataSync()[0], 0);
    }));

  test('warm-up rises to the base, the cosine falls to the floor', () => {
    const rate = warmupCosine({ base: 2, warmupSteps: 4, totalSteps: 24, floor: 0.5 });
    assert.deepEqual([0, 1, 2, 3, 4].map(rate), [0.5, 1, 1.5, 2, 2]);
    assert.ok(Math.abs(rate(14) - 1.25) < 1e-12);
    assert.deepEqual([24, 1000].map(rate), [0.5, 0.5]);
    assert.deepEqual([0, 1, 9].map(warmupConstant({ base: 3, warmupSteps: 2 })), [1.5, 3, 3]);
    assert.throws(() => warmupCosine({ base: 1, warmupSteps: 5, totalSteps: 5 }), /totalSteps/);
  });
});
