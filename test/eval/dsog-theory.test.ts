import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rng } from '../../src/engine';
import { simulateSelection, truncatedNormal, upperQuantile, varianceFactor } from '../../src/eval';

describe('early selection, in theory', () => {
  it('the upper quarter of a normal: from 0.6745 on, with mean 1.271 and variance 0.242', () => {
    assert.equal(upperQuantile(0.25).toFixed(4), '0.6745');
    const { mean, variance } = truncatedNormal(0.25);
    assert.equal(mean.toFixed(3), '1.271');
    assert.equal(variance.toFixed(3), '0.242');
    assert.equal(truncatedNormal(0.5).variance.toFixed(4), (1 - 2 / Math.PI).toFixed(4));
    assert.throws(() => upperQuantile(0), /share must be in/);
  });

  it('the variance of rewards falls by rho squared times what the truncation takes', () => {
    assert.equal(varianceFactor(0, 0.25), 1);
    assert.equal(varianceFactor(1, 0.25).toFixed(3), '0.242');
    for (const rho of [0.3, 0.8]) {
      const { rewardVariance } = simulateSelection({ rho, share: 0.25, rng: new Rng(1) });
      assert.ok(Math.abs(rewardVariance - varianceFactor(rho, 0.25)) < 0.02, `${rho}: ${rewardVariance}`);
    }
  });

  it('without selection the centered gradient is the slope', () => {
    const { signal, rewardVariance } = simulateSelection({ rho: 0.8, share: 1, slope: 0.4, rng: new Rng(2) });
    assert.ok(Math.abs(signal - 0.4) < 0.02);
    assert.ok(Math.abs(rewardVariance - 1) < 0.02);
  });

  it('with the group mean taken off, the signal shrinks with the variance: the ratio of signal to noise falls', () => {
    const [all, kept] = [1, 0.25].map((share) => simulateSelection({ rho: 0.9, share, rng: new Rng(3) }));
    assert.ok(Math.abs(kept.signal / all.signal - varianceFactor(0.9, 0.25)) < 0.05);
    assert.ok(kept.snr < 0.6 * all.snr);
    assert.ok(kept.rawSnr > all.rawSnr);
  });
});
