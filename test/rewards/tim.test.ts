import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Image } from '../../src/io';
import { timReward, tokenMatch, type TokenPair, type TokenVectors } from '../../src/rewards';
import { sampleOf } from './sample';

const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);
const image = (color: number): Image => ({ width: 2, height: 2, rgb: new Uint8Array(12).fill(color) });

describe('R_TIM', () => {
  it('of two text tokens and three image tokens is 0.75', () => {
    // Cosines, image by text: (1, 0), (0.6, 0.8), (-1, 0); the best are 1, 0.8, 0 and, for the text, 1, 0.8.
    const text = [
      [2, 0],
      [0, 5],
    ];
    const match = tokenMatch({
      text,
      image: [
        [1, 0],
        [3, 4],
        [-1, 0],
      ],
    });
    [1, 0.8, 0].forEach((best, j) => close(match.imageBest[j], best));
    [1, 0.8].forEach((best, k) => close(match.textBest[k], best));
    close(match.imageToText, 0.6);
    close(match.textToImage, 0.9);
    close(match.score, 0.75);
  });

  it('gives a zero vector the cosine 0, which may be the best match', () => {
    const match = tokenMatch({
      text: [
        [-1, 0],
        [0, 0],
      ],
      image: [[1, 0]],
    });
    assert.deepEqual([...match.imageBest], [0]);
    assert.deepEqual([...match.textBest], [-1, 0]);
    close(match.score, -0.25);
    assert.equal(tokenMatch({ text: [[0]], image: [[0]] }).score, 0);
  });

  it('refuses sides without tokens, unlike widths and numbers that are not finite', () => {
    assert.throws(() => tokenMatch({ text: [], image: [[1]] }), /the text has no tokens/);
    assert.throws(() => tokenMatch({ text: [[1]], image: [] }), /the image has no tokens/);
    assert.throws(() => tokenMatch({ text: [[1]], image: [[1, 2]] }), /image token 0 has 2 numbers; .* has 1/);
    assert.throws(() => tokenMatch({ text: [[1], [NaN]], image: [[1]] }), /text token 1 .* not finite/);
  });

  it('is symmetric, free of scale, in [-1, 1], and 1 for the same tokens in another order', () => {
    const side = fc.array(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 }), {
      minLength: 1,
      maxLength: 6,
    });
    const scaled = (tokens: TokenVectors, by: number) => tokens.map((token) => Array.from(token, (x) => x * by));
    fc.assert(
      fc.property(side, side, (text, other) => {
        const { score } = tokenMatch({ text, image: other });
        assert.ok(Math.abs(score) <= 1 + 1e-12);
        close(tokenMatch({ text: other, image: text }).score, score);
        close(tokenMatch({ text: scaled(text, 1e200), image: scaled(other, 1e-200) }).score, score);
        const real = text.filter((token) => token.some((x) => x !== 0));
        if (real.length > 0) close(tokenMatch({ text: real, image: [...real].reverse() }).score, 1);
      }),
    );
  });

  it('is a reward on what a frozen model makes of prompt and image; lengths may differ, a broken pair costs itself', async () => {
    const pairs: Record<string, TokenPair> = {
      dog: {
        text: [[1, 0]],
        image: [
          [1, 0],
          [0, 1],
        ],
      },
      'no dog': {
        text: [
          [1, 0],
          [0, 1],
          [0, 1],
        ],
        image: [[0, -1]],
      },
      nothing: { text: [], image: [[1, 0]] },
    };
    const reward = timReward({
      name: 'table',
      represent: (texts) => Promise.resolve(texts.map((text) => pairs[text])),
    });
    assert.equal(reward.name, 'tim_table');
    const samples = ['dog', 'nothing', 'no dog'].map((text) => sampleOf({ text, image: image(1) }));
    const scores = await reward([...samples, sampleOf({ text: 'dog' })]);
    assert.deepEqual(scores[0], { value: 0.75, parts: { image_to_text: 0.5, text_to_image: 1 } });
    assert.deepEqual(scores[1], { value: NaN, reason: 'the text has no tokens' });
    close(scores[2].value, (0 - 2 / 3) / 2);
    assert.deepEqual(scores[3], { value: NaN, reason: 'there is no image' });
  });
});
