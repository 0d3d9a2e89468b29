import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, tf } from '../../src/engine';
import {
  type PolicyLossOptions,
  aggregations,
  klEstimates,
  logProbDifference,
  policyLoss,
  policyMetrics,
  ratios,
  surrogates,
} from '../../src/rl';

before(() => startEngine({ precision: 'float32', quiet: true }));

const rows = 3;
const width = 4;
const numbers = fc.array(fc.float({ min: Math.fround(-3), max: Math.fround(-0.1), noNaN: true }), {
  minLength: rows * width,
  maxLength: rows * width,
});
const maskOf = fc.array(fc.constantFrom(0, 1), { minLength: rows * width, maxLength: rows * width });
const every: PolicyLossOptions[] = ratios.names().flatMap((ratio) =>
  surrogates.names().flatMap((surrogate) =>
    aggregations
      .names()
      .filter((aggregation) => aggregation !== 'sequences')
      .map((aggregation) => ({ ratio, surrogate, aggregation, maxLength: 7 })),
  ),
);

function run(
  x: number[],
  old: number[],
  mask: number[],
  options: PolicyLossOptions,
  extra: { ref?: number[]; und?: number[] } = {},
): { loss: number; grad: number[] } {
  const out = tf.tidy(() => {
    const t = (values: number[]): tf.Tensor2D => tf.tensor2d(values, [rows, width]);
    const segments = extra.und && { understanding: t(extra.und), generation: t(extra.und.map((u) => 1 - u)) };
    return tf.valueAndGrad((logProbs) =>
      policyLoss(
        {
          logProbs: logProbs as tf.Tensor2D,
          oldLogProbs: t(old),
          refLogProbs: extra.ref && t(extra.ref),
          mask: t(mask),
          advantages: [1, -0.5, 0.25],
          segments,
        },
        options,
      ),
    )(t(x));
  });
  const result = { loss: out.value.dataSync()[0], grad: Array.from(out.grad.dataSync()) };
  tf.dispose([out.value, out.grad]);
  return result;
}

describe('policy loss', () => {
  it('never depends on what stands at masked positions, whatever is chosen', () => {
    fc.assert(
      fc.property(numbers, numbers, maskOf, fc.constantFrom(...every), (x, old, mask, options) => {
        const clean = run(x, old, mask, { ...options, beta: 0.1 }, { ref: old });
        const dirt = (values: number[]): number[] => values.map((v, i) => (mask[i] ? v : [NaN, Infinity, 50][i % 3]));
        const dirty = run(dirt(x), dirt(old), mask, { ...options, beta: 0.1 }, { ref: dirt(old) });
        assert.ok(Number.isFinite(clean.loss));
        assert.deepEqual(dirty, clean);
        for (const [i, m] of mask.entries()) if (!m) assert.equal(clean.grad[i], 0);
      }),
      { numRuns: 150 },
    );
  });

  it('has the gradient that finite differences find', () => {
    const x = [-0.5, -1, -2, -0.7, -1.1, -0.4, -2.5, -0.9, -1.3, -0.6, -0.2, -1.7];
    const old = x.map((v, i) => v + 0.05 * Math.sin(3 * i + 1)); // inside the clip range: no kinks
    const mask = [1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0];
    const und = [1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0];
    for (const base of every) {
      if (base.surrogate === 'cispo') continue; // its gradient is not the loss's derivative, by design
      for (const kl of klEstimates.names()) {
        const options = { ...base, kl, beta: 0.3, segmentWeights: { understanding: 0.4, generation: 0.6 } };
        const { grad } = run(x, old, mask, options, { ref: old, und });
        for (const i of [0, 5, 9]) {
          const h = 1e-2;
          const at = (d: number): number =>
            run(
              x.map((v, j) => (j === i ? v + d : v)),
              old,
              mask,
              options,
              { ref: old, und },
            ).loss;
          const slope = (at(h) - at(-h)) / (2 * h);
          assert.ok(
            Math.abs(slope - grad[i]) < 2e-3 * Math.max(1, Math.abs(slope)),
            `${JSON.stringify(options)} ${i}: ${slope} ${grad[i]}`,
          );
        }
      }
    }
  });

  it('weighs a segment by its name whatever its length', () => {
    const x = Array<number>(rows * width).fill(-1);
    const mask = x.map(() => 1);
    const und = x.map((_, i) => (i % width === 0 ? 1 : 0)); // one token of understanding, three of generation
    const { grad } = run(
      x,
      x,
      mask,
      { aggregation: 'segment_mean', segmentWeights: { understanding: 0.4, generation: 0.6 } },
      { und },
    );
    assert.ok(Math.abs(grad[0] - -0.4 / 3) < 1e-6);
    assert.ok(Math.abs(grad[1] - -0.6 / 3 / 3) < 1e-6);
  });

  it('adds up over parts of a batch', () => {
    const x = [-0.5, -1, -2, -0.7, -1.1, -0.4, -2.5, -0.9, -1.3, -0.6, -0.2, -1.7];
    const mask = [1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0];
    for (const aggregation of ['seq_mean', 'token_mean', 'seq_sum', 'const']) {
      const whole = tf.tidy(() => part(0, 3, aggregation).dataSync()[0]);
      const parts = tf.tidy(() => part(0, 1, aggregation).dataSync()[0] + part(1, 3, aggregation).dataSync()[0]);
      assert.ok(Math.abs(whole - parts) < 1e-6, aggregation);
    }
    function part(from: number, to: number, aggregation: string): tf.Scalar {
      const t = (values: number[]): tf.Tensor2D =>
        tf.tensor2d(values.slice(from * width, to * width), [to - from, width]);
      const batch = {
        logProbs: t(x),
        oldLogProbs: t(x.map((v) => v - 0.1)),
        mask: t(mask),
        advantages: [1, -0.5, 0.25].slice(from, to),
      };
      return policyLoss(batch, { aggregation, maxLength: 5, batch: { sequences: 3, tokens: 9 } });
    }
  });

  it('stays finite where a probability has collapsed', () => {
    const x = Array<number>(rows * width).fill(-0.001);
    const old = x.map(() => -200);
    const got = run(
      x,
      old,
      x.map(() => 1),
      { surrogate: 'none', beta: 1 },
      { ref: old },
    );
    assert.ok(Number.isFinite(got.loss) && got.grad.every(Number.isFinite));
  });

  it('says what does not fit', () => {
    const t = (r: number, c: number): tf.Tensor2D => tf.ones([r, c]);
    tf.tidy(() => {
      const batch = { logProbs: t(2, 3), mask: t(2, 3), advantages: [1, 2] };
      assert.throws(() => policyLoss({ ...batch, mask: t(2, 4) }), /mask is \[2, 4\], logProbs are \[2, 3\]/);
      assert.throws(() => policyLoss({ ...batch, advantages: [1] }), /1 advantages for 2 samples/);
      assert.throws(() => policyLoss({ ...batch, advantages: [1, NaN] }), /advantage 1 is not a finite number/);
      assert.throws(() => policyLoss(batch, { beta: 0.1 }), /refLogProbs/);
      assert.throws(
        () => policyLoss(batch, { aggregation: 'mean' }),
        /no aggregation named 'mean'; there are seq_mean/,
      );
      assert.throws(() => policyLoss(batch, { aggregation: 'const' }), /maxLength/);
      assert.throws(() => policyLoss(batch, { aggregation: 'sequences' }), /one value a sequence/);
      assert.throws(() => policyLoss(batch, { segmentWeights: { understanding: 1 } }), /no segments/);
      assert.throws(() => policyLoss(batch, { delta: 1.1 }), /delta/);
      const segments = { understanding: t(2, 3) };
      assert.throws(
        () => policyLoss({ ...batch, segments }, { segmentWeights: { und: 1 } }),
        /segments understanding; weights for und/,
      );
    });
  });

  it('leaves no tensor behind', async () => {
    const one = async (): Promise<void> => {
      run(
        [...Array(12).keys()].map((i) => -i / 5),
        [...Array(12).keys()].map((i) => -i / 6),
        Array<number>(12).fill(1),
        { beta: 0.1, surrogate: 'cispo' },
        { ref: Array<number>(12).fill(-1) },
      );
      const batch = {
        logProbs: tf.ones<tf.Rank.R2>([2, 3]),
        refLogProbs: tf.zeros<tf.Rank.R2>([2, 3]),
        mask: tf.ones<tf.Rank.R2>([2, 3]),
        advantages: [1, -1],
      };
      await policyMetrics(batch);
      tf.dispose([batch.logProbs, batch.refLogProbs, batch.mask]);
    };
    await one();
    const start = tf.memory().numTensors;
    for (let i = 0; i < 20; i++) await one();
    assert.equal(tf.memory().numTensors, start);
  });
});

describe('policy metrics', () => {
  it('say what was clipped, under TRL names', async () => {
    const old = tf.tensor2d([[-1, -1, -1, -1], [-1, -1, -1, -1]]); // prettier-ignore
    const now = tf.tensor2d([[-0.5, -1, -1.5, 9], [-0.5, -1.5, -1.5, -1]]); // prettier-ignore
    const mask = tf.tensor2d([[1, 1, 1, 0], [1, 1, 1, 1]]); // prettier-ignore
    const entropies = tf.fill<tf.Rank.R2>([2, 4], 2);
    const got = await policyMetrics(
      { logProbs: now, oldLogProbs: old, refLogProbs: old, mask, entropies, advantages: [1, -1] },
      { kl: 'k1' },
    );
    assert.ok(Math.abs(got['clip_ratio/high_mean'] - 1 / 7) < 1e-6);
    assert.ok(Math.abs(got['clip_ratio/low_mean'] - 2 / 7) < 1e-6);
    assert.ok(Math.abs(got['clip_ratio/region_mean'] - 3 / 7) < 1e-6);
    assert.ok(Math.abs(got['clip_ratio/high_max'] - 1 / 3) < 1e-6);
    assert.equal(got['clip_ratio/low_min'], 0);
    assert.ok(Math.abs(got.kl - -0.5 / 7) < 1e-6);
    assert.equal(got.entropy, 2);
    assert.equal(got['completions/mean_length'], 3.5);
    const difference = await logProbDifference(old, now, mask);
    assert.ok(Math.abs(difference.mean - 2.5 / 7) < 1e-6);
    assert.ok(Math.abs(difference.max - 0.5) < 1e-6);
    tf.dispose([old, now, mask, entropies]);
  });
});
