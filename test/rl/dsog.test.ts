import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../src/engine';
import {
  type ThresholdState,
  type ThresholdVersion,
  initialThreshold,
  maxCandidates,
  nextThreshold,
  selectCandidates,
  selectEarly,
} from '../../src/rl';

const score = fc.double({ min: -1, max: 1, noNaN: true });
const rate = fc.double({ min: 0, max: 1, noNaN: true });
const version = fc.constantFrom<ThresholdVersion>('damped_subtract', 'damped', 'literal');

describe('DSOG threshold', () => {
  it('stays in (0, 1) and is a number, whatever passes', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }),
        fc.array(rate, { maxLength: 300 }),
        version,
        (start, rates, v) => {
          let state: ThresholdState = { threshold: start, trend: 0 };
          for (const r of rates) {
            state = nextThreshold(state, r, { version: v });
            assert.ok(state.threshold > 0 && state.threshold < 1 && Number.isFinite(state.trend));
          }
        },
      ),
    );
  });

  it('goes down when too few pass and up when too many do, however strong the trend', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.double({ min: -0.5, max: 0.5, noNaN: true }),
        rate,
        (threshold, trend, r) => {
          const { threshold: next } = nextThreshold({ threshold, trend }, r);
          if (r < 0.25) assert.ok(next <= threshold);
          if (r > 0.25) assert.ok(next >= threshold);
        },
      ),
    );
    // As printed, a strong trend turns the step round: the reason for the default.
    assert.ok(nextThreshold({ threshold: 0.5, trend: 0.1 }, 0, { version: 'literal' }).threshold > 0.5);
    assert.equal(nextThreshold({ threshold: 0.5, trend: 0.1 }, 0).threshold, 0.5);
  });

  it('finds the quantile that lets the wanted share pass', () => {
    const rng = new Rng(5);
    let state: ThresholdState = { threshold: 0.9, trend: 0 };
    const passed: number[] = [];
    for (let step = 0; step < 400; step++) {
      const scores = Array.from({ length: 36 }, () => Math.min(1, Math.max(0, 0.4 + 0.1 * rng.normal())));
      const { passRate } = selectCandidates(scores, { threshold: state.threshold, groupSize: 9 });
      state = nextThreshold(state, passRate);
      if (step >= 200) passed.push(passRate);
    }
    const mean = passed.reduce((a, b) => a + b, 0) / passed.length;
    assert.ok(Math.abs(mean - 0.25) < 0.03, `${mean}`);
    assert.ok(Math.abs(state.threshold - 0.4674) < 0.05, `${state.threshold}`); // 0.4 + 0.674 sigma
  });

  it('starts at the quantile of a first batch', () => {
    assert.equal(initialThreshold([0.1, 0.2, 0.3, 0.4, 0.5]), 0.4);
    assert.equal(initialThreshold([NaN, 0.3]), 0.3);
    assert.equal(initialThreshold([-0.5, -0.4]), 0.001);
    assert.throws(() => initialThreshold([NaN]), /at least one candidate/);
    assert.throws(() => nextThreshold({ threshold: 0.5, trend: 0 }, 1.2), /\[0, 1\], got 1.2/);
    assert.throws(() => nextThreshold({ threshold: 0, trend: 0 }, 0.5), /\(0, 1\), got 0/);
    assert.throws(
      () => nextThreshold({ threshold: 0.5, trend: 0 }, 0.5, { version: 'x' as ThresholdVersion }),
      /damped_subtract, damped/,
    );
  });
});

describe('DSOG selection', () => {
  it('finishes G that passed, asks for more, or fills up with the best of the rest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(score, { nil: NaN }), { maxLength: 60 }),
        score,
        fc.integer({ min: 1, max: 6 }),
        (scores, threshold, groupSize) => {
          const limit = maxCandidates(groupSize, 0.5);
          const got = selectCandidates(scores, { threshold, groupSize, targetPassRate: 0.5 });
          const passing = scores.filter((s) => s > threshold).length;
          assert.equal(got.passed, passing);
          assert.equal(got.enough, passing >= groupSize || scores.length >= limit);
          assert.equal(new Set(got.selected).size, got.selected.length);
          if (got.enough) assert.equal(got.selected.length, groupSize);
          const passed = got.selected.slice(0, got.selected.length - got.filled);
          assert.ok(passed.every((i) => scores[i] > threshold));
          const left = scores.map((_, i) => i).filter((i) => !got.selected.includes(i));
          for (const i of got.selected.slice(passed.length)) {
            assert.ok(!(scores[i] > threshold));
            assert.ok(left.every((j) => !(scores[j] > scores[i]) || scores[j] > threshold));
          }
        },
      ),
    );
    assert.equal(maxCandidates(9), 144);
    assert.throws(() => selectCandidates([], { threshold: 0.5, groupSize: 4, maxCandidates: 3 }), /maxCandidates is 3/);
    assert.throws(() => selectCandidates([], { threshold: NaN, groupSize: 4 }), /not a number/);
  });
});

describe('DSOG, early selection', () => {
  const options = { groupSize: 2, batch: 3, targetPassRate: 0.5 };
  const early = (scores: readonly number[], reason?: string) => (from: number, count: number) =>
    Promise.resolve(scores.slice(from, from + count).map((score, i) => ({ candidate: from + i, score, reason })));

  it('finishes those above the first threshold, the median of [0.1, 0.3, 0.2, 0.4] here', async () => {
    const given = early([0.1, 0.3, 0.2, 0.4]);
    const { chosen, report } = await selectEarly({ ...options, batch: 4 }, undefined, given);
    assert.deepEqual(chosen, [1, 3]);
    assert.equal(report.threshold, 0.25);
  });

  it('says why no candidate could be scored', () =>
    assert.rejects(
      selectEarly(options, undefined, early([NaN, NaN, NaN], 'ber failed: the image is broken')),
      /none of 3 candidates could be scored early: ber failed: the image is broken$/,
    ));

  it('counts candidates that could not be scored, which never pass', async () => {
    const { report } = await selectEarly(options, undefined, early([NaN, 0.3, 0.2, 0.4, NaN, NaN]));
    assert.equal(report.metrics['dsog/failed'], 3);
    assert.equal(report.metrics['dsog/passed'], 2);
  });
});
