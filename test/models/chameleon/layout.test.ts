import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  fillPlaceholders,
  IGNORE,
  openImage,
  type Part,
  partsOf,
  imageIds,
  sequenceIds,
  trainingExample,
} from '../../../src/models/chameleon/layout';
import { chameleonVocabulary, nameOfCode } from '../../../src/models/chameleon/vocabulary';
import { tinyConfig } from './fixture';

const plain = tinyConfig();
const lumina = tinyConfig({ layout: 'lumina' });
const v = chameleonVocabulary(plain);

describe('the vocabulary', () => {
  test('codes and ids are inverse; specials are found by name', () => {
    for (let code = 0; code < 11; code++) assert.equal(v.codeOfId[v.idOfCode[code]], code);
    assert.equal(v.codeOfId.filter((code) => code >= 0).length, 11);
    assert.deepEqual(
      Array.from(v.imageIds),
      Array.from({ length: 11 }, (_, i) => 12 + i),
    );
    assert.deepEqual([v.boi, v.eoi, v.image, v.separator, v.newline], [4, 5, 6, 7, 8]);
    assert.deepEqual([v.sizeId(1), v.sizeId(3), v.sizeOf(10), v.sizeOf(12)], [9, 11, 2, undefined]);
    assert.equal(nameOfCode(8190), 'IMGIMGIBJAZ');
  });

  test('everything that is wrong with a vocabulary is listed at once', () => {
    const { [nameOfCode(3)]: _, '<eoss>': __, ...rest } = plain.vocabulary_map;
    const map = { ...rest, [nameOfCode(11)]: 40, [nameOfCode(4)]: 70, [nameOfCode(5)]: v.idOfCode[6] };
    assert.throws(
      () => chameleonVocabulary({ ...plain, vocabulary_map: map }),
      (error: Error) =>
        [
          /code 3 has no id/,
          /<eoss> is missing/,
          /is code 11; the codebook has 11/,
          /id 70, outside 0\.\.63/,
          /stands for two codes/,
        ].every((line) => line.test(error.message)),
    );
  });
});

const parts = (grids: readonly (readonly [number, number])[]): fc.Arbitrary<Part[]> => {
  const text = fc
    .array(fc.integer({ min: 23, max: 63 }), { minLength: 1, maxLength: 6 })
    .map((ids): Part => ({ kind: 'text', ids }));
  const image = fc
    .constantFrom(...grids)
    .chain((grid) =>
      fc
        .array(fc.integer({ min: 0, max: 10 }), { minLength: grid[0] * grid[1], maxLength: grid[0] * grid[1] })
        .map((codes): Part => ({ kind: 'image', codes: Int32Array.from(codes), grid })),
    );
  // Texts side by side would come back as one.
  return fc.array(fc.tuple(text, image), { maxLength: 3 }).map((pairs) => pairs.flat());
};

describe('sequences', () => {
  test('parts become ids and come back, in both layouts', () => {
    for (const [config, grids] of [
      [plain, [[4, 4]]],
      [
        lumina,
        [
          [2, 4],
          [6, 2],
        ],
      ],
    ] as const)
      fc.assert(
        fc.property(parts(grids), (list) => {
          assert.deepEqual(partsOf(config, v, sequenceIds(config, v, list)), list);
        }),
        { numRuns: 40 },
      );
  });

  test('both layouts, written out', () => {
    const codes = [1, 2, 3, 4];
    const [a, b, c, d] = codes.map((code) => v.idOfCode[code]);
    assert.deepEqual(imageIds(plain, v, codes, [2, 2]), [4, a, b, c, d, 5]);
    assert.deepEqual(imageIds(lumina, v, codes, [2, 2]), [4, 9, 9, a, b, 8, c, d, 8, 5]);
  });

  test('what does not follow the layout is said, with its place', () => {
    const good = [0, ...imageIds(lumina, v, [1, 2, 3, 4], [2, 2])];
    assert.throws(() => partsOf(lumina, v, good.slice(0, 8)), /begins at token 1 is cut off after 6 of 9 tokens/);
    const broken = good.map((id, i) => (i === 6 ? 30 : id));
    assert.throws(() => partsOf(lumina, v, broken), /token 6 of the image that begins at 1 is 30, expected 8/);
    assert.throws(() => partsOf(lumina, v, [0, 4, 30, 31]), /does not say its height and width/);
    assert.throws(() => partsOf(plain, v, [0, 5]), /ends at token 1, but none has begun/);
    assert.throws(() => partsOf(plain, v, [0, 12]), /token 1 is an image code outside an image/);
    assert.throws(() => imageIds(plain, v, [1, 2, 3]), /4 x 4 codes was expected, got 3/);
    assert.throws(() => imageIds(plain, v, [1, 2, 3, 11], [2, 2]), /image code 11 at position 3 is outside 0\.\.10/);
  });

  test('training examples score what is marked, and the end; open images are found; placeholders are filled', () => {
    const list = [
      { kind: 'text', ids: [30, 31], scored: false },
      { kind: 'image', codes: [1, 2, 3, 4], grid: [2, 2], scored: true },
    ] as const;
    const image = imageIds(plain, v, [1, 2, 3, 4], [2, 2]);
    const { ids, labels } = trainingExample(plain, v, list, 11);
    assert.deepEqual(ids, [0, 30, 31, ...image, 2, 1]);
    assert.deepEqual(labels, [IGNORE, IGNORE, IGNORE, ...image, 2, IGNORE]);
    assert.throws(() => trainingExample(plain, v, list, 9), /has 10 tokens; 9 were expected at most/);
    assert.deepEqual([openImage(v, [0, 4, 12]), openImage(v, image), openImage(v, [0, 3])], [1, -1, -1]);
    assert.deepEqual(
      fillPlaceholders(
        v,
        [
          [0, 6, 6],
          [6, 3],
        ],
        [0, 1, 2],
      ),
      [
        [0, v.idOfCode[0], v.idOfCode[1]],
        [v.idOfCode[2], 3],
      ],
    );
    assert.throws(() => fillPlaceholders(v, [[6, 6]], [1]), /image code undefined at position 1/);
    assert.throws(() => fillPlaceholders(v, [[6]], [1, 2]), /has 1 image placeholders, the images have 2 codes/);
  });
});
