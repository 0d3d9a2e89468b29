import { strict as assert } from 'node:assert';
import { before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  attention,
  cachedAttention,
  type KeysValues,
  Rng,
  startEngine,
  tf,
  traced,
  tracingWorks,
} from '../../src/engine';
import { cachedAttentionPlain } from '../../src/engine/ops/cached-attention';
import { hasOwnKernel } from '../../src/engine/ops/kernel';

before(() => startEngine({ precision: 'float32', quiet: true }));

const lengthsOf = (...lengths: number[]) => tf.tensor1d(lengths, 'int32');
const normal = (rng: Rng, shape: number[]) => tf.tensor(rng.normal(shape.reduce((a, b) => a * b, 1)), shape);
const cacheOf = (batch: number, heads: number, capacity: number, dim: number, rng: Rng): KeysValues => ({
  keys: normal(rng.split('keys'), [batch, heads, capacity, dim]) as tf.Tensor4D,
  values: normal(rng.split('values'), [batch, heads, capacity, dim]) as tf.Tensor4D,
});

describe('attention with a cache', () => {
  it('puts a token behind the one that is held, and mixes both by their likeness', () => {
    for (const attend of [cachedAttention, cachedAttentionPlain]) {
      const held = {
        keys: tf.tensor4d([1, 0, 9, 9, 9, 9], [1, 1, 3, 2]),
        values: tf.tensor4d([10, 20, 9, 9, 9, 9], [1, 1, 3, 2]),
      };
      const own = { keys: tf.tensor4d([0, 1], [1, 1, 1, 2]), values: tf.tensor4d([30, 40], [1, 1, 1, 2]) };
      // Scores 0 and ln 3: a quarter of the first value and three quarters of the second.
      const q = tf.tensor4d([0, Math.log(3)], [1, 1, 1, 2]);
      const { value, held: after } = attend(q, own, held, lengthsOf(1), 1);
      const [first, second] = value.dataSync();
      assert.ok(Math.abs(first - 25) < 1e-4 && Math.abs(second - 35) < 1e-4, `${first}, ${second}`);
      assert.deepEqual([...after.keys.dataSync()], [1, 0, 0, 1, 9, 9]);
      assert.deepEqual([...after.values.dataSync()], [10, 20, 30, 40, 9, 9]);
    }
  });

  it('is attention over the held tokens and the new ones, in both ways, rows of any length', () => {
    fc.assert(
      fc.property(
        fc.record({
          lengths: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 4 }),
          tokens: fc.integer({ min: 1, max: 3 }),
          groups: fc.integer({ min: 1, max: 2 }),
          shared: fc.integer({ min: 1, max: 3 }),
          seed: fc.integer(),
        }),
        ({ lengths, tokens, groups, shared, seed }) => {
          tf.tidy(() => {
            const rng = new Rng(seed);
            const [batch, dim, capacity] = [lengths.length, 8, 9];
            const q = normal(rng.split('q'), [batch, groups * shared, tokens, dim]) as tf.Tensor4D;
            const own = cacheOf(batch, groups, tokens, dim, rng.split('own'));
            const ways = [cachedAttentionPlain, cachedAttention].map((attend) => {
              const held = cacheOf(batch, groups, capacity, dim, rng.split('held'));
              return attend(q, own, held, lengthsOf(...lengths), 0.3);
            });
            for (const pick of [({ value }) => value, ({ held }) => held.keys, ({ held }) => held.values] as ((
              way: (typeof ways)[0],
            ) => tf.Tensor)[]) {
              const worst = tf.max(tf.abs(tf.sub(pick(ways[0]), pick(ways[1])))).dataSync()[0];
              assert.ok(worst < 1e-5, String(worst));
            }
            lengths.forEach((length, b) => {
              const row = (x: tf.Tensor4D, count: number) => tf.slice(x, [b, 0, 0, 0], [1, -1, count, -1]);
              const wide = (x: tf.Tensor4D) =>
                tf.concat(
                  Array.from({ length: groups * shared }, (_, h) =>
                    tf.slice(x, [0, Math.floor(h / shared), 0, 0], [1, 1, -1, -1]),
                  ),
                  1,
                );
              const [keys, values] = [ways[1].held.keys, ways[1].held.values].map((x) => wide(row(x, length + tokens)));
              const mask = tf.tensor4d(
                Array.from({ length: tokens }, (_, t) =>
                  Array.from({ length: length + tokens }, (__, p) => (p <= length + t ? 0 : -1e9)),
                ).flat(),
                [1, 1, tokens, length + tokens],
              );
              const want = attention(row(q, tokens), keys, values, mask, 0.3);
              const worst = tf.max(tf.abs(tf.sub(row(ways[1].value, tokens), want))).dataSync()[0];
              assert.ok(worst < 1e-5, String(worst));
            });
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('writes in place, in a traced function as well, and has the same bits there', () => {
    const rng = new Rng(4);
    const run = (attend: (q: tf.Tensor4D, own: KeysValues, held: KeysValues, lengths: tf.Tensor1D) => tf.Tensor) => {
      const held = cacheOf(2, 2, 40, 8, rng.split('cache'));
      const values: number[] = [];
      for (let step = 0; step < 6; step++) {
        const q = normal(rng.split(`q ${step}`), [2, 4, 1, 8]) as tf.Tensor4D;
        const own = cacheOf(2, 2, 1, 8, rng.split(`own ${step}`));
        const lengths = lengthsOf(step, 3 + step);
        values.push(...attend(q, own, held, lengths).dataSync());
      }
      values.push(...held.keys.dataSync(), ...held.values.dataSync());
      return values;
    };
    if (!hasOwnKernel('UnilabCachedAttention')) return;
    const step = traced('cached', (q: tf.Tensor4D, own: KeysValues, held: KeysValues, lengths: tf.Tensor1D) => {
      const { value, held: after } = cachedAttention(q, own, held, lengths, 0.5);
      assert.equal(after, held);
      return tf.mul(value, 2);
    });
    const plain = run((q, own, held, lengths) => tf.mul(cachedAttention(q, own, held, lengths, 0.5).value, 2));
    assert.deepEqual(run(step), plain);
    if (tracingWorks()) assert.equal(step.report().programs[0].runs, 5);
    step.dispose();
  });

  it('says what does not fit', () => {
    const rng = new Rng(1);
    const q = tf.zeros<tf.Rank.R4>([1, 4, 1, 8]);
    const [own, held] = [cacheOf(1, 2, 1, 8, rng), cacheOf(1, 2, 3, 8, rng)];
    assert.throws(
      () => cachedAttention(q, own, cacheOf(2, 2, 3, 8, rng), lengthsOf(0), 1),
      /held keys \[2,2,3,8\].*do not fit/,
    );
    assert.throws(() => cachedAttention(q, own, held, lengthsOf(0, 1), 1), /lengths \[2\] do not fit/);
    if (hasOwnKernel('UnilabCachedAttention'))
      assert.throws(
        () => cachedAttention(q, own, held, lengthsOf(3), 1),
        /row 0 holds 3 tokens, and 1 more do not fit into 3/,
      );
  });
});
