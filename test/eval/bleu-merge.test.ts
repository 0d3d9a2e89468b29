import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { corpusSacrebleu, mergeGaussian, mergeModels, nltkBleu, sacrebleu, unifybenchBleu } from '../../src/eval';

describe('BLEU', () => {
  const text = fc
    .array(fc.constantFrom('red', 'blue', 'ball', 'the', 'a', '1,000', 'cat.', '名前', '🎈'), { maxLength: 12 })
    .map((w) => w.join(' '));

  it('is 0 to 1, and 1 (or 100) exactly for what equals a reference', () => {
    fc.assert(
      fc.property(text, text, (h, r) => {
        for (const score of [sacrebleu(h, r).score / 100, nltkBleu(h, r), unifybenchBleu(h, r)])
          assert.ok(score >= 0 && score <= 1 + 1e-12);
        if (r !== '') assert.ok(Math.abs(sacrebleu(r, [h, r]).score - 100) < 1e-9);
        if (r.split(' ').length >= 4) assert.equal(nltkBleu(r, r), 1);
      }),
    );
  });

  it('of a set of one sentence without gaps equals the sentence', () => {
    const h = 'the red ball lies on the green grass';
    const r = 'the red ball lies on green grass';
    assert.equal(corpusSacrebleu([h], [r]).score, sacrebleu(h, r).score);
  });

  it('counts characters outside the first plane once', () => {
    assert.equal(unifybenchBleu('🎈', '🎈🎈'), Math.exp(1 - 2) * Math.exp(0.7 * Math.log(1) + 0.3 * Math.log(0.1)));
  });

  it('refuses what it cannot score', () => {
    assert.throws(() => sacrebleu('a', []), /at least one reference/);
    assert.throws(() => corpusSacrebleu(['a'], []), /1 hypotheses and 0 references/);
    assert.throws(() => sacrebleu('a', 'a', { tokenizer: 'x' as 'none' }), /13a, char, zh, none/);
  });
});

describe('Gaussian merge', () => {
  const weights = fc
    .array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 })
    .map((w) => Float32Array.from(w));

  it('of a model with itself gives back the model where nothing stands out', () => {
    fc.assert(
      fc.property(weights, weights, (base, model) => {
        const { merged, statistics } = mergeGaussian(base, [model, model], { lambda: 100 });
        if (statistics.sigma > 1e-3) for (let i = 0; i < 4; i++) assert.ok(Math.abs(merged[i] - model[i]) < 1e-6);
        const swapped = mergeGaussian(base, [model, base]).merged;
        assert.deepEqual(mergeGaussian(base, [base, model]).merged, swapped); // the order of models does not matter
      }),
    );
  });

  it('keeps an outlier whole and averages the rest', () => {
    const base = new Float32Array(101);
    const a = Float32Array.from({ length: 101 }, (_, i) => (i > 98 ? (i === 99 ? 5 : -5) : 0.01 * Math.sin(i)));
    const b = Float32Array.from({ length: 101 }, (_, i) => 0.01 * Math.cos(i));
    const { merged, statistics } = mergeGaussian(base, [a, b]);
    assert.deepEqual(statistics.outliers, [2, 0]);
    assert.ok(Math.abs(merged[100] - (-5 + b[100] / 2)) < 1e-6);
    assert.ok(Math.abs(merged[50] - (a[50] + b[50]) / 2) < 1e-6);
  });

  it('names what does not fit', () => {
    const w = { a: Float32Array.of(1, 2), b: Float32Array.of(1) };
    assert.throws(() => mergeModels(w, [w, { a: w.a }]), /not all models have the tensors b/);
    assert.throws(
      () => mergeModels(w, [w, { ...w, a: Float32Array.of(1) }]),
      /tensor 'a': model 1 has 1 weights, the base 2/,
    );
    assert.throws(() => mergeModels(w, [w, { ...w, a: Float32Array.of(1, NaN) }]), /tensor 'a'.*NaN/);
    assert.throws(() => mergeModels(w, [w]), /at least two models/);
  });
});
