import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { BLIP_BASE, BlipCaptionNetwork } from '../../../src/models/scorers/blip-caption';
import { BlipMatcher, BlipMatchNetwork } from '../../../src/models/scorers/blip-itm';
import { BLIP2_VIT_G, Blip2Matcher, Blip2MatchNetwork } from '../../../src/models/scorers/blip2-itm';
import { padRows } from '../../../src/models/scorers/bert';
import { parameterCount } from '../../../src/nn/store';

import { TINY, TINY2, images, imageAt, far } from './tiny-blip';

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
});

describe('the matchers of BLIP and BLIP-2', () => {
  for (const [name, make] of [
    ['BLIP', () => BlipMatcher.random(TINY, new Rng(5))],
    ['BLIP-2', () => Blip2Matcher.random(TINY2, new Rng(5))],
  ] as const) {
    it(`${name}: padding and neighbours change nothing, cosines are cosines, nothing is left`, () => {
      const model = make();
      const pixels = images(3);
      const texts = [
        [2, 5, 3],
        [2, 6, 7, 8, 9, 3],
        [2, 11, 12, 3],
      ];
      const rows = padRows(texts);
      const kept = tf.memory().numTensors;
      const matches = readValues(() => model.matchLogits(pixels, rows));
      const cosines = readValues(() => model.similarity(pixels, rows));
      texts.forEach((text, i) => {
        const alone = readValues(() => model.matchLogits(imageAt(pixels, i), { ids: [text] }));
        assert.ok(far(alone, matches.slice(2 * i)) < 1e-5);
        const one = readValues(() => model.similarity(imageAt(pixels, i), { ids: [text] }));
        assert.ok(Math.abs(one[0] - cosines[4 * i]) < 1e-5);
      });
      assert.ok(far(matches.slice(0, 2), matches.slice(2, 4)) > 1e-6, 'it looks at both');
      assert.ok(cosines.every((cosine) => Math.abs(cosine) <= 1 + 1e-6));
      assert.equal(tf.memory().numTensors, kept);
      assert.throws(() => model.matchLogits(pixels, { ids: [[1]] }), /3 images and 1 texts|3 images and 1 text/);
      pixels.dispose();
      model.dispose();
    });
  }

  it('BLIP-2 takes the mean of its queries for a match, the best one for a cosine', () => {
    const model = Blip2Matcher.random(TINY2, new Rng(6));
    const pixels = images(2);
    const rows = {
      ids: [
        [2, 5, 3],
        [2, 6, 3],
      ],
    };
    const [all, best] = [
      readValues(() =>
        tf.matMul(tf.reshape(model.imageFeatures(pixels), [10, 8]), model.textFeatures(rows), false, true),
      ),
      readValues(() => model.similarity(pixels, rows)),
    ];
    for (const image of [0, 1])
      for (const text of [0, 1]) {
        const own = [0, 1, 2, 3, 4].map((query) => all[(5 * image + query) * 2 + text]);
        assert.ok(Math.abs(Math.max(...own) - best[2 * image + text]) < 1e-6);
      }
    pixels.dispose();
    model.dispose();
  });

  it('have the sizes of the published models', () => {
    assert.equal(parameterCount(new BlipCaptionNetwork(BLIP_BASE)), 223_971_644);
    assert.equal(parameterCount(new BlipMatchNetwork(BLIP_BASE)), 223_744_258);
    assert.equal(parameterCount(new Blip2MatchNetwork(BLIP2_VIT_G)), 1_172_031_490);
  });
});
