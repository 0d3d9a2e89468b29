import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, tf } from '../../src/engine';
import type { Image } from '../../src/io';
import type { ImageTokenizer, Trajectory } from '../../src/models/unified';
import {
  berReward,
  columnsOf,
  defineReward,
  derReward,
  RewardBatch,
  type Reward,
  scoreTrajectories,
  tier,
  tierReward,
  weightedSum,
} from '../../src/rewards';
import { sampleOf } from './sample';

const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);
const letters = {
  name: 'letters',
  size: 3,
  embed: (some: readonly string[]) => Promise.resolve(some.map((x) => Float32Array.from('abc', (c) => +(c === x)))),
};
const image = (color: number): Image => ({ width: 2, height: 2, rgb: new Uint8Array(12).fill(color) });

before(() => startEngine({ precision: 'float32', quiet: true }));

describe('TIER', () => {
  const cosines = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 });

  it('of similarities 0.8 (right), 0.3, 0 and -0.1 is 0.813 however it is printed, and 0.733 as a contrast', () => {
    const q = [0.3, 0.8, 0, -0.1]; // d = sqrt(0.04 + 0.09 + 0 + 0.01) = 0.374166
    close(tier(q, 1), 0.8129171);
    close(tier(q, 1, { form: 'as_printed' }), 0.8129171);
    close(tier(q, 1, { form: 'contrast' }), 0.8 - 0.2 / 3);
    close(tier([1, 1, 1, 1, 1, 0], 5, { form: 'as_printed' }), (2 - Math.sqrt(6)) / 2);
    close(tier([1, 1, 1, 1, 1, 0], 5), 0);
  });

  it('is 1 for the right candidate alone, grows with its similarity, and stays in its range', () => {
    fc.assert(
      fc.property(cosines, fc.nat(), (q, n) => {
        const correct = n % q.length;
        const value = tier(q, correct);
        assert.ok(value >= tierReward(letters).range[0] && value <= 1);
        const certain = q.map((_, j) => (j === correct ? 1 : 0));
        assert.equal(tier(certain, correct), 1);
        const better = q.map((v, j) => (j === correct ? v + (1 - v) / 2 : v));
        assert.ok(tier(better, correct) >= value);
      }),
    );
  });

  it('scores completions; a wrong index costs its own sample alone', async () => {
    const reward = tierReward(letters);
    assert.equal(reward.name, 'tier_letters');
    assert.equal(tierReward(letters, { form: 'contrast' }).name, 'tier_contrast_letters');
    const truth = { candidates: ['a', 'b', 'c'], correct: 0 };
    const got = await reward([
      sampleOf({ completion: 'a', truth }),
      sampleOf({ completion: 'b', truth }),
      sampleOf({ completion: '', truth: { candidates: ['a', 'b'], correct: 0 } }),
      sampleOf({ completion: 'a', truth: { candidates: [], correct: 0 } }),
      sampleOf({ completion: 'a', truth: { ...truth, correct: 3 } }),
    ]);
    assert.deepEqual(got[0], { value: 1, parts: { right: 1, wrong: 0 } });
    close(got[1].value, 1 - Math.SQRT2 / Math.sqrt(3));
    close(got[2].value, 1 - 1 / Math.SQRT2);
    assert.match(got[2].reason ?? '', /empty/);
    assert.ok(Number.isNaN(got[3].value) && Number.isNaN(got[4].value));
    assert.match(got[4].reason ?? '', /number 3 of 3/);
  });
});

describe('BER', () => {
  it('is the cosine under the name of its scorer; one image that cannot be decoded costs its sample alone', async () => {
    const asked: string[] = [];
    const cosine = (images: readonly Image[], texts: readonly string[]) => {
      asked.push(...texts);
      return Promise.resolve(images.map(({ rgb }) => rgb[0] / 100));
    };
    const reward = berReward({ name: 'mini_clip', cosine });
    assert.equal(reward.name, 'ber_mini_clip');
    const lost = {
      bytes: () => Promise.reject(new Error('no such code')),
      pixels: () => tf.zeros<tf.Rank.R4>([1, 1, 1, 3]),
    };
    const got = await reward([
      { ...sampleOf({ image: image(25), text: 'what was asked' }), imagePrompt: 'what was drawn' },
      { ...sampleOf({}), image: lost },
      sampleOf({}),
      sampleOf({ image: image(50), text: 'a dog' }),
    ]);
    const values = got.map(({ value }) => value);
    assert.deepEqual(values, [0.25, NaN, NaN, 0.5]);
    assert.deepEqual(
      [got[1].reason, got[2].reason],
      ['the image cannot be decoded: no such code', 'there is no image'],
    );
    assert.deepEqual(asked, ['what was drawn', 'a dog']);
  });
});

describe('DER', () => {
  it('of two patches against three is 0.65: the best matches, both ways', async () => {
    const features = new Map([
      [1, { count: 2, size: 2, values: Float32Array.of(1, 0, 0, 1) }],
      [2, { count: 3, size: 2, values: Float32Array.of(0.6, 0.8, 0.6, 0.8, -1, 0) }],
    ]);
    let embedded = 0;
    const embedPatches = (images: readonly Image[]) => {
      embedded += images.length;
      if (images.some(({ rgb }) => rgb[0] === 9)) throw new Error('broken');
      return Promise.resolve(images.flatMap(({ rgb }) => features.get(rgb[0]) ?? []));
    };
    const reward = derReward({ name: 'dinov2_small', embedPatches });
    const references = [image(2)];
    const start = tf.memory().numTensors;
    const sample = sampleOf({ image: image(1), references });
    // Image to reference: (0.6 + 0.8) / 2 = 0.7; back: (0.8 + 0.8 + 0) / 3 = 0.5333.
    const got = await reward([sample, sample, sampleOf({ image: image(1) })]);
    close(got[0].value, (0.7 + 1.6 / 3) / 2);
    assert.equal(got[1].value, got[0].value);
    assert.equal(got[2].reason, 'there are no reference images');
    assert.equal(embedded, 4, 'the reference is embedded once');
    const [good, bad] = await reward([sample, sampleOf({ image: image(9), references })]);
    close(good.value, got[0].value);
    assert.equal(bad.reason, 'broken');
    assert.equal(tf.memory().numTensors, start);
    assert.equal(reward.name, 'der_dinov2_small');
  });
});

describe('a weighted sum', () => {
  const given = (name: string, values: readonly unknown[], higherIsBetter = true): Reward =>
    defineReward(name, [0, 1], () => values as number[], { higherIsBetter });
  const three = [sampleOf({}), sampleOf({}), sampleOf({})];

  it('of 0.4 x 0.5 and 0.2 x 1 is 0.4; what is missing is left out, all missing is NaN', async () => {
    const rewards = [
      { reward: given('tier', [0.5, 0.5, NaN]), weight: 0.4 },
      { reward: given('fer', [1, null, undefined]), weight: 0.2 },
      { reward: given('off', []), weight: 0 },
    ];
    const got = await weightedSum(rewards, three);
    close(got[0].value, 0.4);
    close(got[1].value, 0.2);
    assert.ok(Number.isNaN(got[2].value));
    assert.equal(got[1].reason, 'fer: fer gave null');
    assert.equal(got[2].reason, 'tier: tier gave NaN; fer: fer gave undefined');
    assert.deepEqual(columnsOf(got), { tier: [0.5, 0.5, NaN], fer: [1, NaN, NaN] });
  });

  it('subtracts what is better low, tells parts and oddities, and refuses what cannot be summed', async () => {
    const told = defineReward('told', [0, 1], () => [{ value: 0, reason: 'no face was found', parts: { no_face: 1 } }]);
    const low = given('low', [0.5], false);
    const rewards = [
      { reward: told, weight: 1 },
      { reward: low, weight: 3 },
    ];
    assert.deepEqual(await weightedSum(rewards, [three[0]]), [
      { value: -1.5, parts: { told: 0, 'told/no_face': 1, low: 0.5 }, reason: 'told: no face was found' },
    ]);
    await assert.rejects(weightedSum([{ reward: told, weight: NaN }], three), /weight of 'told' is NaN/);
    await assert.rejects(weightedSum([rewards[0], rewards[0]], three), /two rewards are named 'told'/);
    await assert.rejects(weightedSum([], three), /no rewards/);
  });

  it('hides no mistake of a reward: exceptions and infinities are NaN, a wrong count throws', async () => {
    const broken = defineReward('broken', [0, 1], () => Promise.reject(new Error('out of memory')));
    assert.deepEqual(await broken([three[0]]), [{ value: NaN, reason: 'broken failed: out of memory' }]);
    assert.ok(Number.isNaN((await given('inf', [Infinity])([three[0]]))[0].value));
    await assert.rejects(given('short', [])(three), /'short' gave 0 scores for 3 samples/);
  });
});

describe('a batch of trajectories', () => {
  const tokenizer: ImageTokenizer & { decoded: number } = {
    grid: [1, 1],
    stride: 1,
    decoded: 0,
    encode: () => [],
    decode(codes, grid = [1, 1]) {
      this.decoded++;
      const values = codes.flatMap((own) => Array.from(own).flatMap((code) => [code, code, code]));
      return tf.tensor4d(values, [codes.length, ...grid, 3]);
    },
  };
  const drawn = (codes: number[], grid: [number, number]) =>
    ({ name: 'generation', codes: Int32Array.from(codes), grid, transitions: [] }) as const;
  const trajectory: Trajectory = {
    segments: [
      { name: 'understanding', text: 'a', finished: true, transitions: [] },
      drawn([1, -1], [1, 2]),
      { name: 'understanding', text: 'b', finished: true, transitions: [] },
      drawn([1], [1, 1]),
    ],
  };
  const example = { prompt: 'p', references: [], truth: 7 };

  it('is decoded when it is first looked at, once for each grid, and leaves nothing', async () => {
    const start = tf.memory().numTensors;
    const prompted = { example, trajectory, imagePrompt: 'q' };
    const batch = new RewardBatch(tokenizer, [{ example, trajectory }, prompted]);
    assert.equal(tokenizer.decoded, 0);
    const [first, second] = batch.samples;
    assert.deepEqual([first.completion, first.truth, second.imagePrompt], ['a b', 7, 'q']);
    assert.deepEqual(await second.image?.bytes(), { width: 1, height: 1, rgb: Uint8Array.of(255, 255, 255) });
    assert.deepEqual(first.image?.pixels().shape, [1, 1, 1, 3]);
    assert.equal(tokenizer.decoded, 1);
    const middle = first.outputs[1];
    assert.ok('image' in middle);
    assert.deepEqual([...(await middle.image.bytes()).rgb], [255, 255, 255, 0, 0, 0]);
    assert.equal(tokenizer.decoded, 2);
    batch.dispose();
    assert.equal(tf.memory().numTensors, start);
  });

  it('leaves nothing when scoring throws', async () => {
    const start = tf.memory().numTensors;
    const scoring = scoreTrajectories(tokenizer, [{ example, trajectory }], ([sample]) => {
      sample.image?.pixels();
      throw new Error('stopped');
    });
    await assert.rejects(scoring, /stopped/);
    assert.equal(tf.memory().numTensors, start);
  });
});
