import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseSizes, evenPart, fittingSizes, partsOf, roomFor, rowsFor, sizeFor } from '../../src/nn/buckets';

test('sizes are a geometric series', () => {
  const sizes = [...new Set(Array.from({ length: 65 }, (_, n) => sizeFor(n, 8)))];
  const upTo32 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30, 32];
  assert.deepEqual(sizes, [...upTo32, 36, 40, 44, 48, 52, 56, 60, 64]);
  assert.deepEqual([sizeFor(131), sizeFor(131, 16), sizeFor(131, 4)], [144, 136, 160]);
});

test('a size holds the count, is a size itself, and costs a bounded part more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5000 }), fc.constantFrom(4, 8, 16), (count, fineness) => {
      const size = sizeFor(count, fineness);
      assert.ok(size >= count && size <= count * (1 + 1 / fineness));
      assert.equal(sizeFor(size, fineness), size);
    }),
  );
});

test('joint sizes: a second one where it saves work', () => {
  const work = ({ length, scored }: { length: number; scored: number }) => 100 * length + scored;
  const even = [128, 129, 131, 130].map((length, i) => ({ length, scored: 1400 + i }));
  assert.deepEqual(chooseSizes(even, work), [{ length: 136, scored: 1408 }]);
  const uneven = [64, 61, 157, 60].map((length, i) => ({ length, scored: 100 + i }));
  const sizes = chooseSizes(uneven, work);
  assert.deepEqual(sizes, [
    { length: 64, scored: 104 },
    { length: 160, scored: 104 },
  ]);
  assert.equal(fittingSizes({ length: 63, scored: 104 }, sizes), sizes[0]);
  assert.equal(fittingSizes({ length: 64, scored: 104 }, sizes), sizes[0]);
  assert.equal(fittingSizes({ length: 65, scored: 1 }, sizes), sizes[1]);
  // A batch that the sample did not foresee: as large as the largest, and rounded coarsely, so that it serves others.
  assert.deepEqual(fittingSizes({ length: 170, scored: 3 }, sizes), { length: 192, scored: 112 });
  assert.throws(() => chooseSizes([], work), RangeError);
});

test('rows that end leave three batch sizes', () => {
  assert.deepEqual(
    [18, 10, 9, 6, 5, 1].map((live) => rowsFor(live, 18)),
    [18, 18, 9, 9, 5, 5],
  );
  assert.deepEqual(
    [1, 2, 3].map((live) => rowsFor(live, 3)),
    [1, 2, 3],
  );
  for (let first = 1; first < 40; first++) {
    const sizes = new Set(Array.from({ length: first }, (_, i) => rowsFor(i + 1, first)));
    assert.ok(sizes.size <= 3);
    for (let live = 1; live <= first; live++) assert.ok(rowsFor(live, first) >= live);
  }
});

test('parts are even, none is larger than it may be, and all but the last are whole', () => {
  assert.deepEqual(
    [1, 12, 13, 18, 24, 32, 48].map((count) => evenPart(count, 12)),
    [1, 12, 7, 9, 12, 11, 12],
  );
  assert.deepEqual(partsOf([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]);
  assert.deepEqual(partsOf([], 3), []);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 64 }), (count, most) => {
      const size = evenPart(count, most);
      const parts = partsOf([...Array(count).keys()], size);
      assert.ok(size <= most && parts.length === Math.ceil(count / most));
      assert.deepEqual(parts.flat(), [...Array(count).keys()]);
      assert.ok(parts.length * size - count < parts.length); // fewer than one padded place a part
    }),
  );
});

test('up to 128 tokens there is one room', () => {
  assert.deepEqual([1, 80, 128, 129, 200].map(roomFor), [128, 128, 128, 160, 224]);
});
