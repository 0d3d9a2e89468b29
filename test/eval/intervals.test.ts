import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../src/engine';
import { balancedRecall, exactMatch, meanInterval, meanPairwiseCosine, pairedBootstrap } from '../../src/eval';

describe('intervals', () => {
  it('cover the true mean about as often as they say', () => {
    const rng = new Rng(3);
    let covered = 0;
    const trials = 200;
    for (let t = 0; t < trials; t++) {
      const values = Array.from({ length: 64 }, () => 0.3 + rng.normal());
      const { ci95 } = meanInterval(values, { rng: rng.split(t), resamples: 500 });
      if (ci95[0] <= 0.3 && 0.3 <= ci95[1]) covered++;
    }
    assert.ok(covered / trials > 0.88 && covered / trials < 0.99, `${covered / trials}`);
  });

  it('pair what was measured on the same examples, so shared difficulty cancels', () => {
    const rng = new Rng(7);
    const before = Array.from({ length: 64 }, () => 10 * rng.normal());
    const after = before.map((b) => b + 0.2 + 0.1 * rng.normal());
    const got = pairedBootstrap(before, after, { rng });
    assert.ok(got.ci95[0] > 0.15 && got.ci95[1] < 0.25 && got.delta > 0.17 && got.delta < 0.23);
    assert.ok(Math.abs(got.after - got.before - got.delta) < 1e-9);
    assert.deepEqual(
      pairedBootstrap(before, after, { rng: new Rng(1) }),
      pairedBootstrap(before, after, { rng: new Rng(1) }),
    );
  });

  it('turn round with the order, hold the mean, and leave out NaN', () => {
    const scores = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 5, maxLength: 20 });
    fc.assert(
      fc.property(scores, (a) => {
        const b = a.map((v, i) => v + Math.sin(i));
        const there = pairedBootstrap([...a, NaN], [...b, 1], { rng: new Rng(2), resamples: 400 });
        const back = pairedBootstrap([...b, 1], [...a, NaN], { rng: new Rng(2), resamples: 400 });
        assert.equal(there.left, 1);
        assert.equal(there.n, a.length);
        assert.ok(Math.abs(there.delta + back.delta) < 1e-12 && Math.abs(there.ci95[0] + back.ci95[1]) < 1e-12);
        assert.ok(there.ci95[0] <= there.delta + 1e-9 && there.delta <= there.ci95[1] + 1e-9);
      }),
      { numRuns: 30 },
    );
    assert.throws(() => pairedBootstrap([1], [1, 2], { rng: new Rng(1) }), /1 scores before and 2 after/);
    assert.throws(() => meanInterval([NaN], { rng: new Rng(1) }), /no value is a number/);
  });
});

describe('metrics', () => {
  it('compute what they say', () => {
    assert.equal(meanPairwiseCosine([[1, 0]], [[2, 0], [0, 3]]), 0.5); // prettier-ignore
    assert.equal(balancedRecall([true, false, false, false], [true, true, false, false]), 0.75);
    assert.throws(() => balancedRecall([true], [true]), /no question has the answer no/);
    assert.ok(exactMatch(' A red  ball. ', 'a red ball'));
    assert.ok(!exactMatch('a blue ball', 'a red ball'));
  });
});
