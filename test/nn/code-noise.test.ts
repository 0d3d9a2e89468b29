/** Images that are drawn behind wrong codes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Rng } from '../../src/engine';
import { withWrongCodes, type WrongShare } from '../../src/nn/code-noise';

const images = Array.from({ length: 6 }, (_, image) => Array.from({ length: 8 }, (_, place) => 100 * image + place));

test('without a chance the images are the given ones', () => {
  assert.equal(withWrongCodes(images, 0, new Rng(1)), images);
});

test('a wrong code is one of another image at the same place, and each image has one other', () => {
  fc.assert(
    fc.property(fc.integer(), fc.double({ min: 0.01, max: 1, noNaN: true }), (seed, chance) => {
      const read = withWrongCodes(images, chance, new Rng(seed));
      read.forEach((row, i) => {
        assert.ok(Array.from(row).every((code, place) => code % 100 === place));
        const others = new Set(Array.from(row, (code) => Math.floor(code / 100)).filter((image) => image !== i));
        assert.ok(others.size <= 1);
      });
    }),
  );
});

/** @returns the share of codes that are another image's, over 200 draws where every image has wrong ones */
function wrongOf(share: WrongShare): number {
  const rng = new Rng(3);
  let wrong = 0;
  for (let i = 0; i < 200; i++)
    withWrongCodes(images, 1, rng.split(i), share).forEach((row, image) => {
      wrong += Array.from(row).filter((code) => Math.floor(code / 100) !== image).length;
    });
  return wrong / (200 * 6 * 8);
}

test('half of the codes are wrong on average, or 2 / pi of them by the cosine, but for those that drew themselves', () => {
  for (const [share, mean] of [
    ['uniform', 0.5],
    ['cosine', 2 / Math.PI],
  ] as const)
    assert.ok(Math.abs(wrongOf(share) - mean * (5 / 6)) < 0.03, `${share}: ${wrongOf(share)}`);
});
