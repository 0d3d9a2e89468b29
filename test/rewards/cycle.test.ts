import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { tf } from '../../src/engine';
import type { Image } from '../../src/io';
import { captionTuples, cycleReward, spiceLike } from '../../src/rewards';
import { singular } from '../../src/rewards/spice-like';
import { sampleOf } from './sample';

const tuples = (caption: string) => [...captionTuples(caption)].sort();

describe('spice_like', () => {
  it('reads things, attributes and relations', () => {
    assert.deepEqual(tuples('a photo of a red car left of a blue house in the snow'), [
      'car',
      'car|left of|house',
      'car|red',
      'house',
      'house|blue',
      'house|in|snow',
      'snow',
    ]);
    assert.deepEqual(tuples('three green fish on the left'), [
      'fish',
      'fish|green',
      'fish|on|left',
      'fish|three',
      'left',
    ]);
    assert.deepEqual(tuples('a man riding a horse'), ['horse', 'man', 'man|riding|horse']);
    assert.deepEqual(tuples('a fox in the rain . the fox is beside a red umbrella'), [
      'fox',
      'fox|beside|umbrella',
      'fox|in|rain',
      'rain',
      'umbrella',
      'umbrella|red',
    ]);
    assert.deepEqual(tuples('a cup and a hat'), ['cup', 'hat']);
    assert.deepEqual(tuples(''), []);
  });

  it('of "a red car" and "a car" is 2/3: one of two tuples of one, all of the other', () => {
    assert.equal(spiceLike('a red car', 'a car'), 2 / 3);
    assert.equal(spiceLike('a red car in the snow', 'a blue car in the snow'), 6 / 8);
    assert.equal(spiceLike('a car left of a hat', 'a hat left of a car'), 4 / 6);
    assert.equal(spiceLike('two cars', 'two cars next to'), 1);
    assert.equal(spiceLike('', ''), 0);
  });

  it('takes plurals for their singulars', () => {
    const pairs = 'cars car buses bus cities city boxes box glass glass bus bus fish fish houses house'.split(' ');
    for (let i = 0; i < pairs.length; i += 2) assert.equal(singular(pairs[i]), pairs[i + 1]);
  });

  it('is symmetric, in [0, 1], and 1 for a caption that says something and itself', () => {
    const words = fc.constantFrom(...'a the red car cars hat on left of and beside is in snow'.split(' '));
    const caption = fc.array(words, { maxLength: 10 }).map((list) => list.join(' '));
    fc.assert(
      fc.property(caption, caption, (a, b) => {
        const score = spiceLike(a, b);
        assert.ok(score >= 0 && score <= 1);
        assert.equal(score, spiceLike(b, a));
        assert.equal(spiceLike(a, a), captionTuples(a).size > 0 ? 1 : 0);
      }),
    );
  });
});

describe('R_cycle', () => {
  const gray = (value: number): Image => ({ width: 2, height: 2, rgb: new Uint8Array(12).fill(value) });
  const distance = {
    name: 'gray',
    distance: (a: tf.Tensor4D, b: tf.Tensor4D) =>
      tf.tidy(() => tf.div(tf.mean(tf.abs(tf.sub(a, b)), [1, 2, 3]), 2).dataSync()),
  };
  const captioner = {
    name: 'words',
    captions: (images: readonly Image[]) => Promise.resolve(images.map(() => 'a car')),
  };

  it('is 1 - distance + spice_like, with both as parts, and frees its tensors', async () => {
    const before = tf.memory().numTensors;
    const said: string[] = [];
    const reward = cycleReward(distance, captioner, (_, caption) => said.push(caption));
    assert.equal(reward.name, 'cycle_gray_words');
    const [one, other] = await reward([
      sampleOf({ image: gray(0), references: [gray(0)], text: 'a red car' }),
      sampleOf({ image: gray(0), references: [gray(255), gray(0)], text: 'a car' }),
    ]);
    assert.ok(Math.abs(one.value - (1 + 2 / 3)) < 1e-6, String(one.value));
    assert.ok(Math.abs(other.value - 1) < 1e-6, String(other.value));
    assert.deepEqual(other.parts, { visual: 0, textual: 1 });
    assert.deepEqual(said, ['a car', 'a car']);
    assert.equal(tf.memory().numTensors, before);
  });

  it('is NaN with the reason for a sample without a real image, and for that one alone', async () => {
    const scores = await cycleReward(
      distance,
      captioner,
    )([
      sampleOf({ image: gray(0), text: 'a car' }),
      sampleOf({ image: gray(0), references: [gray(0)], text: 'a car' }),
      sampleOf({ references: [gray(0)], text: 'a car' }),
    ]);
    assert.match(scores[0].reason ?? '', /no real image/);
    assert.equal(scores[1].value, 2);
    assert.match(scores[2].reason ?? '', /no image/);
  });
});
