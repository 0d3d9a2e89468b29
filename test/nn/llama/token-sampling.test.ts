import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../../src/engine';
import { checkSampling, drawToken, likeliest, logProbOf, type SamplingOptions } from '../../../src/nn/token-sampling';

/** Shares of 4,000 draws. */
function shares(logits: readonly number[], options: SamplingOptions): number[] {
  const rng = new Rng(3);
  const counts = logits.map(() => 0);
  for (let i = 0; i < 4000; i++) counts[drawToken(logits, 0, logits.length, options, rng)]++;
  return counts.map((count) => count / 4000);
}

const LOGITS = [Math.log(0.5), Math.log(0.25), Math.log(0.15), Math.log(0.1)];

function near(got: readonly number[], expected: readonly number[]): void {
  got.forEach((share, i) => assert.ok(Math.abs(share - expected[i]) < 0.03, `${got.join()} and ${expected.join()}`));
}

describe('drawing tokens', () => {
  test('temperature, top-k and top-p give the distributions that they say', () => {
    near(shares(LOGITS, {}), [0.5, 0.25, 0.15, 0.1]);
    const squares = [0.25, 0.0625, 0.0225, 0.01].map((p) => p / 0.345);
    near(shares(LOGITS, { temperature: 0.5 }), squares);
    near(shares(LOGITS, { topK: 2 }), [2 / 3, 1 / 3, 0, 0]);
    near(shares(LOGITS, { topP: 0.8 }), [5 / 9, 2.5 / 9, 1.5 / 9, 0]);
    near(shares(LOGITS, { topP: 0.01 }), [1, 0, 0, 0]);
    near(shares(LOGITS, { topK: 3, topP: 0.6 }), [2 / 3, 1 / 3, 0, 0]);
    near(shares(LOGITS, { temperature: 0 }), [1, 0, 0, 0]);
  });

  test('tokens as likely as the k-th stay; a row inside a longer list is drawn from alone', () => {
    near(shares([1, 0, 0, -5], { topK: 2 }), [Math.E / (Math.E + 2), 1 / (Math.E + 2), 1 / (Math.E + 2), 0]);
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 5 }), (seed, from) => {
        const logits = new Rng(seed).normal(12);
        const options = { topK: 3, topP: 0.9 };
        const got = drawToken(logits, from, 6, options, new Rng(seed + 1));
        assert.equal(got, drawToken(logits.slice(from, from + 6), 0, 6, options, new Rng(seed + 1)));
        assert.ok(logits[from + got] >= logits.slice(from, from + 6).sort()[3]);
      }),
    );
  });

  test('log-probs sum to one at any temperature and survive logits of any size', () => {
    const logit = fc.double({ min: -1e4, max: 1e4, noNaN: true });
    const anyLogits = fc.array(logit, { minLength: 1, maxLength: 9 });
    const anyTemperature = fc.double({ min: 0.1, max: 5, noNaN: true });
    fc.assert(
      fc.property(anyLogits, anyTemperature, (logits, temperature) => {
        const all = logits.map((_, i) => logProbOf(logits, 0, logits.length, i, temperature));
        assert.ok(Math.abs(all.reduce((sum, lp) => sum + Math.exp(lp), 0) - 1) < 1e-9);
        assert.ok(all[likeliest(logits, 0, logits.length)] >= Math.max(...all) - 1e-12);
      }),
    );
  });

  test('options that make no sense are named', () => {
    assert.throws(() => checkSampling({ temperature: -1 }), /temperature is -1, expected 0 \(greedy\) or above/);
    assert.throws(() => checkSampling({ topK: 0 }), /topK is 0, expected a positive integer/);
    assert.throws(() => checkSampling({ topP: 1.5 }), /topP is 1.5/);
    assert.throws(() => checkSampling({ topP: NaN }), /topP is NaN/);
  });
});
