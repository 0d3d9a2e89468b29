import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import { type Image, readImage } from '../../src/io';
import { FaceNet } from '../../src/models/scorers/facenet';
import { type DetectedFace, Mtcnn } from '../../src/models/scorers/mtcnn';
import { type FaceEmbedder, type FaceFinder, ferReward } from '../../src/rewards';
import { sampleOf } from './sample';

const published = path.join(__dirname, '../../../shared/parity/mtcnn');

before(() => startEngine({ precision: 'float32', quiet: true }));

/** An image of one color. */
const plain = (red: number, green: number): Image => {
  const rgb = Uint8Array.from({ length: 12 * 12 * 3 }, (_, i) => [red, green, 0][i % 3]);
  return { width: 12, height: 12, rgb };
};

/** Finds one face in every image that is not black; counts how often it is asked. */
class Finder implements FaceFinder {
  asked = 0;
  detect(images: readonly Image[]): DetectedFace[][] {
    this.asked += images.length;
    return images.map(({ rgb }) => {
      if (rgb.length === 0) throw new RangeError('the image is empty');
      return Math.max(...rgb) > 0 ? [{ box: [1, 1, 9, 9], probability: 0.9, landmarks: [] }] : [];
    });
  }
}

/** A face's direction is its color. */
const colors: FaceEmbedder = {
  name: 'colors',
  embed: (faces) => faces.map(({ rgb }) => Float32Array.of(rgb[0], rgb[1]).map((v) => v / Math.hypot(rgb[0], rgb[1]))),
};

describe('FER', () => {
  it('is the mean cosine to the references; no face is 0, no reference NaN, a broken image NaN', async () => {
    const finder = new Finder();
    const scorer = ferReward(finder, colors, { align: 'box' });
    const [red, green, black] = [plain(200, 0), plain(0, 90), plain(0, 0)];
    const broken: Image = { width: 1, height: 1, rgb: new Uint8Array(0) };
    const got = await scorer([
      sampleOf({ image: plain(77, 0), references: [red, green, black] }),
      sampleOf({ image: plain(60, 80), references: [red] }),
      sampleOf({ image: black, references: [red] }),
      sampleOf({ image: red, references: [black] }),
      sampleOf({ image: red, references: [] }),
      sampleOf({ image: broken, references: [red] }),
    ]);
    assert.deepEqual(got[0], { value: 0.5, parts: { references: 2, no_face: 0, probability: 0.9 } });
    assert.ok(Math.abs(got[1].value - 0.6) < 1e-6);
    assert.deepEqual(got[2], {
      value: 0,
      reason: 'no face was found',
      parts: { references: 1, no_face: 1, probability: 0 },
    });
    assert.ok(got.slice(3).every(({ value }) => Number.isNaN(value)));
    assert.match(got[3].reason ?? '', /no face was found in 1 references/);
    assert.match(got[5].reason ?? '', /the image is empty/);
    finder.asked = 0;
    await scorer([sampleOf({ image: plain(1, 1), references: [red, green, red] })]);
    assert.equal(finder.asked, 1, 'references are looked at once');
    assert.equal(scorer.name, 'fer_colors_box');
    assert.deepEqual(scorer.range, [-1, 1]);
    const worst = ferReward(finder, colors, { align: 'box', noFaceValue: -2 });
    assert.equal((await worst([sampleOf({ image: black, references: [red] })]))[0].value, -2);
    assert.deepEqual(worst.range, [-2, 1]);
  });

  it(
    'runs on photographs with MTCNN: a face is most like itself, and without one the value is 0',
    { skip: existsSync(published) ? false : `the published weights are not at ${published}` },
    async () => {
      const mtcnn = await Mtcnn.load(published);
      const facenet = FaceNet.random(new Rng(2), 0); // what it tells apart is not asked here
      const read = (name: string) => readImage(path.join(published, `${name}.png`));
      const [astronaut, none] = [await read('astronaut'), await read('no_face')];
      const scorer = ferReward(mtcnn, facenet);
      const start = tf.memory().numTensors;
      const [same, without] = await scorer([
        sampleOf({ image: astronaut, references: [astronaut] }),
        sampleOf({ image: none, references: [astronaut] }),
      ]);
      assert.equal(tf.memory().numTensors, start);
      assert.ok(Math.abs(same.value - 1) < 1e-5);
      assert.ok((same.parts?.probability ?? 0) > 0.99);
      assert.equal(without.value, 0);
      assert.equal(without.reason, 'no face was found');
      mtcnn.dispose();
      facenet.dispose();
    },
  );
});
