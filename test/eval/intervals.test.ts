import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../src/engine';
import {
  balancedRecall,
  clusteredBootstrap,
  exactMatch,
  meanInterval,
  meanPairwiseCosine,
  pairedBootstrap,
  pairedClusteredBootstrap,
  stratifiedBootstrap,
} from '../../src/eval';

describe('a bootstrap clustered by prompt', () => {
  // Two prompts, three images each. A resample of two prompts has the mean 0, 1/2 or 1 with probability 1/4, 1/2, 1/4.
  const scores = [1, 1, 1, 0, 0, 0];
  const prompts = ['a cat', 'a cat', 'a cat', 'a dog', 'a dog', 'a dog'];

  it('resamples whole prompts: six images of two prompts are two observations', () => {
    const of95 = clusteredBootstrap(scores, prompts, { rng: new Rng(0) });
    assert.deepEqual(of95, { n: 6, clusters: 2, mean: 0.5, ci95: [0, 1] });
    const of40 = clusteredBootstrap(scores, prompts, { rng: new Rng(0), level: 0.4 });
    assert.deepEqual(of40.ci95, [0.5, 0.5]);
    const [low, high] = meanInterval(scores, { rng: new Rng(0), level: 0.9 }).ci95;
    assert.ok(low > 0 && high < 1, 'as independent images the same scores would look more certain');
  });

  it('weighs a prompt by its images, and counts no prompt without a score', () => {
    const got = clusteredBootstrap([3, 3, 0, NaN], ['cat', 'cat', 'dog', 'fox'], { rng: new Rng(0) });
    assert.deepEqual(got, { n: 3, clusters: 2, mean: 2, ci95: [0, 3] });
  });

  it('compares pairs prompt by prompt', () => {
    const got = pairedClusteredBootstrap([1, 2, 3, NaN], [2, 3, 3, 9], ['cat', 'cat', 'dog', 'dog'], {
      rng: new Rng(0),
    });
    assert.deepEqual(got, { n: 3, clusters: 2, before: 2, after: 8 / 3, delta: 2 / 3, ci95: [0, 1], left: 1 });
    assert.throws(() => clusteredBootstrap([1, 2], ['cat'], { rng: new Rng(0) }), /2 values and 1 cluster ids/);
    assert.throws(() => clusteredBootstrap([1], [0], { rng: new Rng(0), level: 1 }), /level must be in \(0, 1\)/);
  });
});

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
    const both = [
      [2, 0],
      [0, 3],
    ];
    assert.equal(meanPairwiseCosine([[1, 0]], both), 0.5);
    assert.equal(balancedRecall([true, false, false, false], [true, true, false, false]), 0.75);
    assert.throws(() => balancedRecall([true], [true]), /no question has the answer no/);
    assert.ok(exactMatch(' A red  ball. ', 'a red ball'));
    assert.ok(!exactMatch('a blue ball', 'a red ball'));
  });
});

describe('a plain mean over tags', () => {
  it('weighs every tag the same, whatever its size, and resamples prompts within it', () => {
    // One tag is right in 1 of 2 prompts, drawn three times each; the other in all of 1: (1/2 + 1) / 2.
    const tags = [
      { values: [1, 1, 1, 0, 0, 0], ids: ['a', 'a', 'a', 'b', 'b', 'b'] },
      { values: [1], ids: ['c'] },
    ];
    const got = stratifiedBootstrap(tags, { rng: new Rng(0) });
    assert.deepEqual(got, { n: 7, clusters: 3, mean: 0.75, ci95: [0.5, 1] });
  });

  it('of one tag is the clustered bootstrap', () => {
    const values = [1, 0, NaN, 3];
    const ids = ['a', 'a', 'b', 'c'];
    const [rng, same] = [new Rng(3), new Rng(3)];
    assert.deepEqual(stratifiedBootstrap([{ values, ids }], { rng }), clusteredBootstrap(values, ids, { rng: same }));
  });

  it('refuses no tags, and one without a number', () => {
    assert.throws(() => stratifiedBootstrap([], { rng: new Rng(0) }), /no strata/);
    assert.throws(() => stratifiedBootstrap([{ values: [NaN], ids: ['a'] }], { rng: new Rng(0) }), /no number/);
  });
});
