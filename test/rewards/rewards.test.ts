import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Feature,
  type Scorer,
  ensemble,
  featureCosine,
  scoreSafely,
  tier,
  tierScorer,
  unictokensWeights,
} from '../../src/rewards';

const constant = (name: string, values: readonly number[], higherIsBetter = true): Scorer<number> => ({
  name,
  range: [0, 1],
  higherIsBetter,
  score: async (samples) =>
    samples.map((i) => (Number.isNaN(values[i]) ? { value: NaN, reason: 'no face was found' } : { value: values[i] })),
});

describe('TIER', () => {
  const cosines = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 });

  it('is 1 for the right item alone, equals the printed one at 4 items, and stays in its range', () => {
    fc.assert(
      fc.property(cosines, fc.nat(), (q, n) => {
        const correct = n % q.length;
        const value = tier(q, correct);
        assert.ok(value >= tierScorer({ name: '', size: 1, embed: async () => [] }).range[0] && value <= 1);
        if (q.length === 4) assert.ok(Math.abs(value - tier(q, correct, { asPrinted: true })) < 1e-12);
        const perfect = q.map((_, j) => (j === correct ? 1 : 0));
        assert.equal(tier(perfect, correct), 1);
        const better = q.map((v, j) => (j === correct ? v + (1 - v) / 2 : v));
        assert.ok(tier(better, correct) >= value);
      }),
    );
  });

  it('as printed leaves its range where a concept has more than 4 facts, ours does not for cosines of real sentences', () => {
    const q = Array<number>(9)
      .fill(1)
      .map((v, j) => (j === 0 ? 0 : v)); // like every wrong item, unlike the right one
    assert.ok(tier(q, 0, { asPrinted: true }) < 0);
    assert.equal(tier(q, 0), 0);
  });

  it('scores empty reasoning and reports what cannot be scored', async () => {
    const embedder = {
      name: 'letters',
      size: 3,
      embed: async (s: readonly string[]) =>
        s.map((x) => Float32Array.of(x === 'a' ? 1 : 0, x === 'b' ? 1 : 0, x === 'c' ? 1 : 0)),
    };
    const got = await tierScorer(embedder).score([
      { reasoning: 'a', items: ['a', 'b', 'c'], correct: 0 },
      { reasoning: 'b', items: ['a', 'b', 'c'], correct: 0 },
      { reasoning: '', items: ['a', 'b'], correct: 0 },
      { reasoning: 'a', items: [], correct: 0 },
    ]);
    assert.equal(got[0].value, 1);
    assert.deepEqual(got[0].parts, { right: 1, wrong: 0 });
    assert.ok(Math.abs(got[1].value - (1 - Math.SQRT2 / Math.sqrt(3))) < 1e-12);
    assert.ok(Math.abs(got[2].value - (1 - 1 / Math.SQRT2)) < 1e-12);
    assert.match(got[2].reason ?? '', /empty/);
    assert.ok(Number.isNaN(got[3].value));
    assert.throws(() => tier([0.5], 1), /number 1 of 1/);
  });
});

describe('ensemble', () => {
  it('adds up what there is, counts what there is not, and is NaN only when all failed', async () => {
    const reward = ensemble([
      { scorer: constant('tier', [0.5, 0.5, NaN]), weight: 0.4 },
      { scorer: constant('fer', [1, NaN, NaN]), weight: 0.2 },
      { scorer: { ...constant('off', []), score: () => Promise.reject(new Error('must not be asked')) }, weight: 0 },
    ]);
    const got = await reward.score([0, 1, 2]);
    assert.ok(Math.abs(got[0].value - 0.4) < 1e-12);
    assert.ok(Math.abs(got[1].value - 0.2) < 1e-12);
    assert.equal(got[1].reason, 'fer: no face was found');
    assert.deepEqual(got[1].parts, { tier: 0.5, fer: NaN });
    assert.ok(Number.isNaN(got[2].value));
    assert.deepEqual(reward.range, [0, 0.6000000000000001]);
  });

  it('can rescale to the weight that was there, and subtracts what is better low', async () => {
    const scorers = [
      { scorer: constant('a', [1, 1]), weight: 1 },
      { scorer: constant('b', [0.5, NaN], false), weight: 3 },
    ];
    assert.deepEqual(
      (await ensemble(scorers, { missing: 'rescale' }).score([0, 1])).map((r) => r.value),
      [-0.5, 4],
    );
    assert.deepEqual(ensemble(scorers).range, [-3, 1]);
  });

  it('turns exceptions and infinities into NaN with the reason', async () => {
    const broken: Scorer<number> = {
      ...constant('broken', []),
      score: () => Promise.reject(new Error('out of memory')),
    };
    assert.deepEqual(await scoreSafely(broken, [1]), [{ value: NaN, reason: 'broken failed: out of memory' }]);
    assert.ok(Number.isNaN((await scoreSafely(constant('inf', [Infinity]), [0]))[0].value));
    const short: Scorer<number> = { ...constant('short', []), score: async () => [] };
    await assert.rejects(scoreSafely(short, [1]), /'short' gave 0 results for 1 samples/);
    assert.throws(() => ensemble([{ scorer: broken, weight: NaN }]), /weight of 'broken' is NaN/);
    assert.throws(() => ensemble([{ scorer: broken, weight: 1 }, { scorer: broken, weight: 1 }]), /two scorers are named/); // prettier-ignore
  });

  it("has the paper's weights, which sum to 1", () => {
    for (const weights of Object.values(unictokensWeights)) {
      assert.ok(Math.abs(Object.values<number>(weights).reduce((a, b) => a + b, 0) - 1) < 1e-12);
    }
  });
});

describe('feature cosine', () => {
  it('is the mean cosine to the references, with missing faces at the worst', async () => {
    const faces: Feature[] = [Float32Array.of(1, 0), { missing: 'no face was found' }, Float32Array.of(0, 2)];
    const scorer = featureCosine<number>({
      name: 'fer',
      of: async (samples) => samples.map((i) => faces[i]),
      like: async (samples) =>
        samples.map((i) => (i === 2 ? [faces[1]] : [Float32Array.of(3, 0), Float32Array.of(0, 1), faces[1]])),
      missingValue: 0,
    });
    const got = await scorer.score([0, 1, 2]);
    assert.equal(got[0].value, 0.5);
    assert.deepEqual(got[1], { value: 0, reason: 'no face was found' });
    assert.ok(Number.isNaN(got[2].value));
    assert.match(got[2].reason ?? '', /nothing to compare with: no face was found/);
  });
});
