import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, tf } from '../../src/engine';
import { importanceSamplingLevels, policyLoss, type PolicyLossOptions, surrogates } from '../../src/rl';

before(() => startEngine({ precision: 'float32', quiet: true }));

const plain: PolicyLossOptions = {
  importanceSamplingLevel: 'token',
  surrogate: 'clip',
  epsilon: 0.2,
  epsilonHigh: 0.2,
  delta: null,
  beta: 0,
  kl: 'k3',
  klClamp: 10,
  useBiasCorrectionKl: false,
};

interface Numbers {
  readonly logProbs: number[][];
  readonly old?: number[][] | 'same';
  readonly reference?: number[][];
  readonly advantages: number[];
  readonly mask?: number[][];
  readonly weights?: number[][];
}

/** The loss, its gradient and its metrics, as plain numbers. */
function run(of: Numbers, options: Partial<PolicyLossOptions> = {}) {
  const ones = of.logProbs.map((row) => row.map(() => 1));
  let metrics: Record<string, number[]> = {};
  const { value, grad } = tf.tidy(() =>
    tf.valueAndGrad((x) => {
      const logProbs = x as tf.Tensor2D;
      const found = policyLoss(
        {
          logProbs,
          oldLogProbs: of.old === 'same' ? logProbs : of.old && tf.tensor2d(of.old),
          refLogProbs: of.reference && tf.tensor2d(of.reference),
          mask: tf.tensor2d(of.mask ?? ones),
          weights: tf.tensor2d(of.weights ?? ones),
          advantages: tf.tensor2d(of.advantages, [of.advantages.length, 1]),
        },
        { ...plain, ...options },
      );
      metrics = Object.fromEntries(Object.entries(found.metrics).map(([name, sums]) => [name, [...sums.dataSync()]]));
      return found.loss;
    })(tf.tensor2d(of.logProbs)),
  );
  const result = { loss: value.dataSync()[0], grad: [...grad.dataSync()], metrics };
  tf.dispose([value, grad]);
  return result;
}

const near = (got: number[], expected: number[]) =>
  expected.forEach((e, i) => assert.ok(Math.abs(got[i] - e) < 1e-5, `at ${i}: ${got[i]}, expected ${e}`));

// Two sequences of two tokens. Ratios: 2 and 1 with A = 1; 0.5 and 1.5 with A = -2.
const [ln2, ln15] = [Math.log(2), Math.log(1.5)];
const example: Numbers = {
  logProbs: [
    [-1, -1],
    [-1, -1],
  ],
  old: [
    [-1 - ln2, -1],
    [-1 + ln2, -1 - ln15],
  ],
  advantages: [1, -2],
};

describe('worked examples', () => {
  it('clip: -min(ratio A, clip(ratio, 0.8, 1.2) A)', () => {
    const { loss, grad, metrics } = run(example);
    // -1.2 - 1 + 2 x 0.8 + 2 x 1.5: the first token is cut above, the third below
    near([loss], [2.4]);
    near(grad, [0, -1, 0, 3]);
    assert.deepEqual(metrics, { kl: [0, 0], clippedLow: [0, 1], clippedHigh: [1, 0] });
  });

  it('clip with delta: an unclipped ratio is bounded too', () => {
    // The last ratio is held at 1.4, above which its gradient is cut.
    const { loss, grad } = run(example, { delta: 1.4 });
    near([loss], [-1.2 - 1 + 1.6 + 2.8]);
    near(grad, [0, -1, 0, 0]);
  });

  it('cispo: -stop_gradient(min(ratio, epsilonHigh)) A log p', () => {
    const { loss, grad } = run(example, { surrogate: 'cispo', epsilonHigh: 1.2 });
    near([loss], [1.2 + 1 - 2 * 0.5 - 2 * 1.2]);
    near(grad, [-1.2, -1, 1, 2.4]);
  });

  it('none: -ratio A', () => {
    const { loss, grad } = run(example, { surrogate: 'none' });
    near([loss], [-2 - 1 + 1 + 3]);
    near(grad, [-2, -1, 1, 3]);
  });

  it('sequence: one ratio for a sequence, exp of the mean', () => {
    const { loss, grad } = run(example, { importanceSamplingLevel: 'sequence', surrogate: 'none' });
    const [first, second] = [Math.sqrt(2), Math.sqrt(0.75)];
    near([loss], [-2 * first + 4 * second]);
    near(grad, [-first, -first, 2 * second, 2 * second]);
  });

  it('sequence-sum: the ratio of whole probabilities', () => {
    const { loss, grad } = run(example, { importanceSamplingLevel: 'sequence-sum', surrogate: 'none' });
    near([loss], [-2 * 2 + 4 * 0.75]);
    near(grad, [-4, -4, 3, 3]);
  });

  it('KL: k1, k2, k3 of d = log policy - log reference', () => {
    const kl = (name: 'k1' | 'k2' | 'k3', more: Partial<PolicyLossOptions> = {}) =>
      run({ logProbs: [[-1]], reference: [[-1.5]], advantages: [0] }, { beta: 0.1, kl: name, ...more });
    near([kl('k1').loss, kl('k2').loss, kl('k3').loss], [0.05, 0.0125, 0.1 * (Math.exp(-0.5) - 0.5)]);
    near([kl('k1').grad[0], kl('k2').grad[0], kl('k3').grad[0]], [0.1, 0.05, 0.1 * (1 - Math.exp(-0.5))]);
    near(kl('k2', { klClamp: 0.1 }).metrics.kl, [0.1]);
  });

  it('weights make the aggregation: here each sequence by its own length', () => {
    const third = 1 / 3;
    const { loss } = run({
      logProbs: [
        [-1, -1, -1],
        [-1, 0, 0],
      ],
      advantages: [1, -1],
      mask: [
        [1, 1, 1],
        [1, 0, 0],
      ],
      weights: [
        [third / 2, third / 2, third / 2],
        [0.5, 0.5, 0.5],
      ],
    });
    near([loss], [0]);
  });
});

const value = fc.float({ min: Math.fround(-3), max: Math.fround(-0.1), noNaN: true });
const rows = fc.array(fc.array(value, { minLength: 3, maxLength: 3 }), { minLength: 2, maxLength: 2 });
const choices = Object.keys(importanceSamplingLevels).flatMap((level) =>
  Object.keys(surrogates).map((surrogate) => ({ importanceSamplingLevel: level, surrogate, epsilonHigh: 1.2 })),
) as Partial<PolicyLossOptions>[];

describe('properties', () => {
  it('old log-probs made of the same tensor are constants: the gradient is that without them', () => {
    for (const options of choices) {
      fc.assert(
        fc.property(rows, (logProbs) => {
          const right = run({ logProbs, advantages: [1, -0.5] }, options);
          const same = run({ logProbs, old: 'same', advantages: [1, -0.5] }, options);
          assert.deepEqual(same, right);
          assert.ok(right.grad.some((g) => g !== 0));
        }),
        { numRuns: 10 },
      );
    }
  });

  it('what is masked never matters, whatever stands there', () => {
    const mask = [
      [1, 0, 1],
      [0, 0, 0],
    ];
    const spoil = (values: number[][], bad: number) =>
      values.map((row, r) => row.map((v, t) => (mask[r][t] ? v : bad)));
    for (const options of choices) {
      fc.assert(
        fc.property(rows, rows, fc.constantFrom(NaN, -Infinity, Infinity, 1e30), (logProbs, old, bad) => {
          const more = { ...options, beta: 0.1 };
          const clean = run({ logProbs, old, reference: old, mask, advantages: [1, 5] }, more);
          const spoiled = [logProbs, old].map((values) => spoil(values, bad));
          const got = run(
            { logProbs: spoiled[0], old: spoiled[1], reference: spoiled[1], mask, advantages: [1, 5] },
            more,
          );
          assert.deepEqual(got, clean);
          assert.deepEqual(got.grad.slice(3), [0, 0, 0], 'a masked row adds nothing');
        }),
        { numRuns: 10 },
      );
    }
  });

  it('a log-prob that is not finite at a scored token makes the loss NaN', () => {
    for (const options of choices) {
      const bad = [[-1, NaN]];
      const good = [[-1, -1]];
      assert.ok(Number.isNaN(run({ logProbs: bad, old: good, advantages: [1] }, options).loss));
      assert.ok(Number.isNaN(run({ logProbs: good, old: bad, advantages: [1] }, options).loss));
      assert.ok(
        Number.isNaN(run({ logProbs: good, old: good, reference: bad, advantages: [1] }, { ...options, beta: 1 }).loss),
      );
    }
  });

  it('a KL penalty without a reference is an error', () => {
    assert.throws(
      () => run({ logProbs: [[-1]], advantages: [1] }, { beta: 0.1 }),
      /needs the log-probs of a reference/,
    );
  });
});
