import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { DRAWN, drawRecorded, drawTokens, LEFT_OUT, mixtureOf, Rng, startEngine, tf } from '../../src/engine';
import { drawTokensPlain, mixturePlain } from '../../src/engine/ops/drawing';
import { agree, normal } from './numeric';

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
});

type Draw = typeof drawTokens;

/** Ids and log p of rows. */
function drawn(
  draw: Draw,
  logits: readonly (readonly number[])[],
  given: number[],
  numbers: number[] | number[][],
  scale = 1,
) {
  return tf.tidy(() => {
    const asked = tf.tensor1d(given, 'int32');
    const [ids, logProbs] = draw(
      tf.tensor2d(logits as number[][]),
      asked,
      tf.tensor(numbers, undefined, 'float32'),
      scale,
    ).arraySync();
    return { ids, logProbs };
  });
}

const near = (a: readonly number[], b: readonly number[], by = 1e-6) =>
  a.forEach((x, i) => assert.ok(Math.abs(x - b[i]) < by, `${a.join()} is not ${b.join()}`));

describe('drawing ids', () => {
  for (const draw of [drawTokens, drawTokensPlain]) {
    test(`${draw.name}: the running sum of 1/2, 1/4, 1/4 passes 0.6 at the second and 0.8 at the third`, () => {
      const row = [2, 1, 1].map(Math.log);
      const { ids, logProbs } = drawn(draw, [row, row, row, row], [DRAWN, DRAWN, DRAWN, 2], [0.4, 0.6, 0.8, 0]);
      assert.deepEqual(ids, [0, 1, 2, 2]);
      near(logProbs, [-Math.log(2), -Math.log(4), -Math.log(4), -Math.log(4)]);
    });

    test(`${draw.name}: guided by 3, twice the dropped half is taken from three times the other`, () => {
      // 3 (ln 2, 0) - 2 (0, ln 2) = (ln 8, -ln 4): probabilities 32 : 1.
      const { ids, logProbs } = drawn(
        draw,
        [
          [Math.log(2), 0],
          [Math.log(2), 0],
          [0, Math.log(2)],
          [0, Math.log(2)],
        ],
        [DRAWN, DRAWN],
        [0.96, 0.98],
        3,
      );
      assert.deepEqual(ids, [0, 1]);
      near(logProbs, [Math.log(32 / 33), Math.log(1 / 33)], 1e-5);
    });

    test(`${draw.name}: Gumbel noise draws where its sum with log p is largest`, () => {
      const { ids } = drawn(draw, [[0, 0, 1]], [DRAWN], [[0, 2, 0.5]]);
      assert.deepEqual(ids, [1]);
    });

    test(`${draw.name}: never what cannot occur, at either end`, () => {
      const { ids } = drawn(
        draw,
        [
          [-1e9, 0, -1e9],
          [-1e9, 0, -1e9],
        ],
        [DRAWN, DRAWN],
        [0, Math.fround(1 - 2 ** -32)],
      );
      assert.deepEqual(ids, [1, 1]);
    });

    test(`${draw.name}: says which shapes do not fit`, () => {
      assert.throws(
        () => drawn(draw, [[0, 1]], [DRAWN, DRAWN, DRAWN], [0.5, 0.5, 0.5]),
        /logits \[1,2\], given ids \[3\]/,
      );
    });
  }

  test("our kernel and tf.js's operations draw the same from thousands of classes, and rows that are left out change nothing", () => {
    const rng = new Rng(4);
    const [n, classes] = [40, 3000];
    const logits = Array.from({ length: 2 * n }, () => [...rng.normal(classes)].map((x) => 2 * x));
    const numbers = [...rng.uniform(n)];
    const given = Array.from({ length: n }, (_, i) => (i % 5 ? DRAWN : LEFT_OUT));
    const [own, plain] = [drawTokens, drawTokensPlain].map((draw) => drawn(draw, logits, given, numbers, 1.5));
    const places = given.flatMap((id, i) => (id === DRAWN ? [i] : []));
    // Sums that are rounded otherwise may meet a number one id earlier or later.
    assert.ok(places.filter((i) => own.ids[i] !== plain.ids[i]).length <= 1);
    for (const i of places) if (own.ids[i] === plain.ids[i]) near([own.logProbs[i]], [plain.logProbs[i]], 1e-4);
  });

  test('guided logits: three times one half less twice the other; as one operation what its parts are, in gradients too', () =>
    tf.tidy(() => {
      assert.deepEqual(mixtureOf(tf.tensor2d([5, 1, 2, 3], [2, 2]), 1, 3).arraySync(), [[11, -3]]);
      const logits = normal([14, 300], 4);
      const of = (mix: typeof mixtureOf) => (x: tf.Tensor) => mix(x as tf.Tensor2D, 7, 2.5);
      agree(of(mixtureOf), of(mixturePlain), [logits], 1e-6, 'mixture');
    }));

  test('what is recorded: log p of the mixture, or of the logits with the condition', () =>
    tf.tidy(() => {
      // With it 1/2, 1/4, 1/4, without it even: guided by 2 the mixture is 4 to 1 to 1.
      const logits = tf.log<tf.Tensor2D>(tf.tensor2d([2, 1, 1, 1, 1, 1], [2, 3]));
      const recorded = (scale: number, records: 'guided' | 'conditional', from = logits) =>
        drawRecorded(from, tf.tensor1d([DRAWN], 'int32'), tf.tensor1d([0.9]), scale, records)
          .arraySync()
          .flat();
      near(recorded(2, 'guided'), [2, Math.log(1 / 6)]);
      near(recorded(2, 'conditional'), [2, Math.log(1 / 6), Math.log(1 / 4)]);
      near(recorded(2, 'conditional', tf.slice(logits, [0, 0], [1, -1])), [2, Math.log(1 / 4)]);
    }));

  test('draws as often as it says', () => {
    const row = [1, 2, 3, 4].map((w) => Math.log(w / 10));
    const numbers = [...new Rng(5).uniform(4000)];
    const given = numbers.map(() => DRAWN);
    const { ids } = drawn(
      drawTokens,
      numbers.map(() => row),
      given,
      numbers,
    );
    for (const id of [0, 1, 2, 3])
      assert.ok(Math.abs(ids.filter((x) => x === id).length / 4000 - (id + 1) / 10) < 0.03);
  });
});
