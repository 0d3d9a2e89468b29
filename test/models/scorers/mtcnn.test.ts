import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { line } from '../../parity/checks/check';
import { checkFolder } from '../../parity/checks';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import type { Image } from '../../../src/io';
import { cropFace, Mtcnn, type MtcnnOptions } from '../../../src/models/scorers/mtcnn';
import { AreaTable } from '../../../src/models/scorers/mtcnn/area';
import { type Box, pixelsOf, suppress, toSquare } from '../../../src/models/scorers/mtcnn/boxes';
import { networkFromTensors, ONet, PNet, poolCeil, RNet } from '../../../src/models/scorers/mtcnn/networks';
import { randomFrozen } from '../../../src/models/scorers/bert/load';

/** The published weights are not ours to carry: they are looked for beside the repository. */
const published = path.join(__dirname, '../../../../shared/parity/mtcnn');

before(() => startEngine({ precision: 'float32', quiet: true }));

function image(seed: number, width: number, height: number): Image {
  const rng = new Rng(seed);
  return { width, height, rgb: Uint8Array.from({ length: width * height * 3 }, () => rng.int(256)) };
}

/** Untrained networks. */
function untrained(options: MtcnnOptions = {}): Mtcnn {
  const rng = new Rng(4);
  const pnet = randomFrozen(new PNet(), rng.split('pnet'));
  const rnet = randomFrozen(new RNet(), rng.split('rnet'));
  const onet = randomFrozen(new ONet(), rng.split('onet'));
  const stores = [pnet, rnet, onet].map(({ parameters }) => parameters);
  return new Mtcnn({ pnet: pnet.net, rnet: rnet.net, onet: onet.net }, stores, options);
}

describe('detection', () => {
  it(
    'finds what the reference finds, with its boxes, probabilities, landmarks and crops',
    { skip: existsSync(published) ? false : `the published weights are not at ${published}` },
    async () => {
      const failed: string[] = [];
      let count = 0;
      for await (const check of checkFolder(published)) {
        count++;
        if (!check.ok) failed.push(line(check));
      }
      assert.deepEqual(failed, []);
      assert.ok(count >= 25);
    },
  );

  it('runs through with any weights: finite numbers, the same twice, sorted, no leak', () => {
    const mtcnn = untrained({ thresholds: [0, 0, 0], minFaceSize: 24 });
    const images = [image(1, 61, 40), image(2, 48, 52)];
    mtcnn.detect(images);
    const start = tf.memory().numTensors;
    const found = mtcnn.detect(images);
    assert.equal(tf.memory().numTensors, start);
    assert.deepEqual(mtcnn.detect(images), found);
    // Three images in one batch, two of them of one size, give what each gives alone.
    const together = mtcnn.detect([images[0], image(1, 61, 40), images[1]]);
    [0, 0, 1].forEach((alone, i) => {
      assert.equal(together[i].length, found[alone].length);
      together[i].forEach(({ box }, k) =>
        box.forEach((x, j) => assert.ok(Math.abs(x - found[alone][k].box[j]) < 0.01)),
      );
    });
    assert.ok(found.flat().length > 0, 'thresholds of 0 let something through');
    for (const faces of found) {
      const sizes = faces.map(({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1));
      sizes.slice(1).forEach((size, i) => assert.ok(size <= sizes[i]));
      for (const { box, landmarks, probability } of faces) {
        assert.ok([...box, ...landmarks.flat()].every(Number.isFinite));
        assert.ok(probability > 0 && probability <= 1);
        assert.equal(landmarks.length, 5);
      }
    }
    assert.deepEqual(untrained({ thresholds: [1, 1, 1] }).detect(images), [[], []]);
    assert.deepEqual(mtcnn.detect([image(1, 11, 200)]), [[]], 'smaller than the smallest face');
    mtcnn.dispose();
  });

  it('refuses options and images that make no sense, and weights that do not fit', () => {
    assert.throws(() => untrained({ factor: 1 }), /factor must be in \(0, 1\), got 1/);
    assert.throws(() => untrained({ minFaceSize: 0 }), /at least 1 pixel, got 0/);
    assert.throws(() => untrained({ thresholds: [0.5, 2, 0] }), /three thresholds in \[0, 1\]/);
    const torn: Image = { width: 30, height: 30, rgb: new Uint8Array(12) };
    assert.throws(() => untrained().detect([torn]), /30 x 30 image needs 2700 bytes of RGB, got 12/);
    const weight = { dtype: 'F32', shape: [7, 3, 3, 3], data: new Float32Array(189) } as const;
    assert.throws(
      () => networkFromTensors('pnet', (widths) => new PNet(widths), { 'conv1.weight': weight }, 'pnet.safetensors'),
      /missing: conv1\.bias \[7\]\n.*missing: prelu1\.weight \[7\]\n.*missing: conv2\.weight \[16,7,3,3\]/,
    );
  });
});

describe('its parts', () => {
  it('pool like PyTorch with ceil_mode', () => {
    const values = Array.from({ length: 25 }, (_, i) => -1 - i);
    const pooled = (side: number, size: number) =>
      Array.from(readValues(() => poolCeil(tf.tensor4d(values.slice(0, size * size), [1, size, size, 1]), side)));
    assert.deepEqual(pooled(2, 5), [-1, -3, -5, -11, -13, -15, -21, -23, -25]);
    assert.deepEqual(pooled(3, 4), [-1, -3, -9, -11]);
    assert.deepEqual(pooled(2, 4), [-1, -3, -9, -11]);
    assert.deepEqual(pooled(3, 2), [-1]);
  });

  it('resample by area: the mean of all pixels touched, larger and smaller', () => {
    const size = fc.integer({ min: 1, max: 14 });
    fc.assert(
      fc.property(fc.nat(), size, size, size, size, (seed, width, height, rows, columns) => {
        const source = image(seed, width + 3, height + 2);
        const box = { left: 2, top: 1, right: 2 + width, bottom: 1 + height };
        const got = new Float32Array(rows * columns * 3);
        new AreaTable(source).resample(box, rows, columns, got);
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            const ys = touched(i, height, rows);
            const xs = touched(j, width, columns);
            const sum = ys.flatMap((y) => xs.map((x) => source.rgb[((y + 1) * source.width + x + 2) * 3 + 1]));
            const mean = sum.reduce((a, b) => a + b, 0) / sum.length;
            assert.ok(Math.abs(got[(i * columns + j) * 3 + 1] - (mean - 127.5) / 128) < 1e-6);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  const box = (x1: number, y1: number, x2: number, y2: number, score: number): Box => ({
    x1,
    y1,
    x2,
    y2,
    score,
    regression: [],
  });

  it('suppress by union or by the smaller box, the better one first', () => {
    const outer = box(0, 0, 100, 100, 0.8);
    const inner = box(10, 10, 30, 30, 0.9);
    assert.deepEqual(
      suppress([outer, inner], 0.7),
      [1, 0],
      'a small box inside a large one shares little of the union',
    );
    assert.deepEqual(suppress([outer, inner], 0.7, 'smaller'), [1]);
    const twins = [box(0, 0, 10, 10, 0.5), box(0, 0, 10, 10, 0.5)];
    assert.deepEqual(suppress(twins, 0.5), [0]);
    assert.deepEqual(suppress(twins, 0.5, 'smaller'), [1]);
    assert.deepEqual(suppress([box(0, 0, 10, 10, 0.5), box(0, 0, 10, 20, 0.4)], 0.5), [0, 1], 'exactly the threshold');
    assert.deepEqual(suppress([], 0.5), []);
    const boxes = fc.array(
      fc.tuple(fc.nat(40), fc.nat(40), fc.integer({ min: 1, max: 30 }), fc.float({ noNaN: true, min: 0, max: 1 })),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(boxes, (list) => {
        const given = list.map(([x, y, side, score]) => box(x, y, x + side, y + side, score));
        const kept = suppress(given, 0.5).map((i) => given[i]);
        assert.equal(suppress(kept, 0.5).length, kept.length, 'what is left stays');
        kept.slice(1).forEach(({ score }, i) => assert.ok(score <= kept[i].score));
      }),
    );
  });

  it('square boxes around their middle, and count pixels from 1', () => {
    assert.deepEqual(toSquare(box(10, 0, 20, 30, 1)), box(0, 0, 30, 30, 1));
    assert.deepEqual(pixelsOf(box(-3.5, 1.9, 7.9, 20, 1), 10, 12), { left: 0, top: 0, right: 7, bottom: 12 });
    assert.equal(pixelsOf(box(11, 0, 20, 5, 1), 10, 12), undefined);
  });

  it('cut faces out with their margin, inside the image', () => {
    const source = image(3, 20, 16);
    const whole = cropFace(source, [4.9, 3.2, 12.7, 11.99], { size: 8 });
    const expected = Array.from({ length: 8 }, (_, y) =>
      Array.from(source.rgb.subarray(((y + 3) * 20 + 4) * 3, ((y + 3) * 20 + 12) * 3)),
    );
    assert.deepEqual(Array.from(whole.rgb), expected.flat());
    // Four of eight pixels for the surroundings: a box of 4 x 4 grows by 2 on each side.
    const around = cropFace(source, [6, 5, 10, 9], { size: 8, margin: 4 });
    assert.deepEqual(Array.from(around.rgb), expected.flat());
    assert.equal(cropFace(source, [-5, -5, 30, 30]).width, 160);
    assert.throws(() => cropFace(source, [30, 1, 40, 9]), /no pixel in a 20 x 16 image/);
    assert.throws(() => cropFace(source, [0, 0, 9, 9], { size: 8, margin: 8 }), /leaves nothing/);
  });
});

function touched(part: number, size: number, parts: number): number[] {
  const [first, end] = [Math.floor((part * size) / parts), Math.ceil(((part + 1) * size) / parts)];
  return Array.from({ length: end - first }, (_, i) => first + i);
}
