import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { readValues, startEngine, tf } from '../../../src/engine';
import { KvCache } from '../../../src/nn/kv-cache';
import { build, logitsOf, worst, TOKENS } from './networks';

before(() => startEngine({ precision: 'float32' }));

describe('cache', () => {
  test('rows can be dropped and repeated; nothing is left behind', () => {
    const model = build();
    const vocab = model.config.vocab_size;
    const prompt = TOKENS.map((row) => row.slice(0, 5));
    logitsOf(model, prompt); // whatever the engine keeps for itself is there now
    const start = tf.memory().numTensors;
    const cache = new KvCache(model.config.num_hidden_layers);
    logitsOf(model, prompt, { cache });
    const held = tf.memory().numTensors;
    assert.equal(held - start, 2 * model.config.num_hidden_layers);
    cache.select([1, 1, 0]);
    assert.equal(cache.batch, 3);
    const next = logitsOf(model, [[9], [4], [4]], { cache });
    const alone = [
      [...prompt[1], 9],
      [...prompt[1], 4],
      [...prompt[0], 4],
    ].map((row) => logitsOf(model, [row]).slice(-vocab));
    alone.forEach((expected, b) =>
      assert.ok(worst(next.slice(b * vocab, (b + 1) * vocab), expected) < 1e-4, `row ${b}`),
    );
    for (let i = 0; i < 50; i++) {
      logitsOf(model, [[1], [2], [3]], { cache });
      assert.equal(tf.memory().numTensors, held);
    }
    // Keys and values, layers, float32, rows, heads, places (one was made room for anew), dimensions.
    assert.deepEqual(cache.lengths, [56, 56, 56]);
    assert.equal(cache.bytes, 2 * 2 * 4 * 3 * 2 * 64 * 8);
    assert.throws(
      () => logitsOf(model, [[1], [2]], { cache }),
      /the cache holds 3 rows; tokens of 2 rows cannot follow/,
    );
    cache.dispose();
    assert.equal(tf.memory().numTensors, start);
    model.store.dispose();
  });
});

describe('cache, continued', () => {
  test('has room for a few sizes, grows, and a row may begin anew or end', () => {
    const model = build();
    const vocab = model.config.vocab_size;
    const alone = (row: readonly number[]) => logitsOf(model, [row]).slice(-vocab);
    const cache = new KvCache(model.config.num_hidden_layers, 9);
    const rows = [[3, 1, 4], [2], [7, 1], [5, 5]];
    const counts = rows.map(({ length }) => length);
    const first = rows.map((row) => [...row, 0, 0].slice(0, 3));
    logitsOf(model, first, { cache, counts });
    assert.deepEqual([cache.lengths, cache.capacity], [[3, 1, 2, 2], 10]);
    const check = (got: Float32Array) =>
      rows.forEach((row, b) => assert.ok(worst(got.slice(b * vocab, (b + 1) * vocab), alone(row)) < 1e-4, `row ${b}`));
    for (let step = 0; step < 12; step++) {
      if (step === 8) {
        cache.clear(1);
        rows[1] = [];
      }
      rows.forEach((row, b) => row.push((5 * step + b) % 23));
      cache.reserve(1);
      check(
        logitsOf(
          model,
          rows.map((row) => row.slice(-1)),
          { cache },
        ),
      );
    }
    assert.deepEqual([cache.lengths, cache.capacity], [[15, 4, 14, 14], 20]);
    // The first row ends; it is computed on, for its place costs less than another shape.
    cache.select([2, 1, 3]);
    rows.splice(0, 4, rows[2], rows[1], rows[3]);
    assert.deepEqual([cache.batch, cache.lengths], [4, [14, 4, 14]]);
    rows.forEach((row) => row.push(6));
    assert.deepEqual(cache.spread(['c', 'b', 'd']), ['c', 'b', 'c', 'd']);
    const logits = logitsOf(model, cache.spread([[6], [6], [6]]), { cache });
    check(readValues(() => cache.gathered(tf.tensor2d(logits, [4, model.config.vocab_size]))));
    cache.select([1]);
    assert.deepEqual([cache.batch, cache.lengths], [1, [5]]);
    rows[1].push(8);
    assert.ok(worst(logitsOf(model, [[8]], { cache }), alone(rows[1])) < 1e-4);
    cache.dispose();
    model.store.dispose();
  });
});
