import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEngine, tf } from '../../../src/engine';
import { partsOf, imageLength } from '../../../src/models/chameleon/layout';
import type { ChameleonModel } from '../../../src/models/chameleon/model';
import { sampleSequences, type SequenceOptions } from '../../../src/models/chameleon/sampler';
import { prompts, rngs, tinyModel } from './fixture';

const models: Record<string, ChameleonModel> = {};

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.chameleon = tinyModel();
  models.lumina = tinyModel({ layout: 'lumina' });
  models.swin = tinyModel({ text: { ...models.chameleon.config.text, swin_norm: true } });
});
after(() => Object.values(models).forEach((model) => model.dispose()));

const ids = (model: ChameleonModel, options: SequenceOptions, seed = 3) =>
  sampleSequences(model, prompts, rngs(seed), options).map((row) => Array.from(row.ids));

describe('sampling', () => {
  test('cached decoding says what uncached decoding says, token for token: text, images, guidance', () => {
    const two: SequenceOptions = { maxNewTokens: 28, guidanceScale: 3, stop: [] };
    const cases: [string, SequenceOptions][] = [
      ['chameleon', two],
      ['lumina', { ...two, grid: [2, 4] }],
      ['swin', { ...two, text: { temperature: 0 }, image: { temperature: 0 } }],
      ['chameleon', { maxNewTokens: 12, text: { topK: 5 }, image: { topP: 0.8 } }],
    ];
    let images = 0;
    for (const [name, options] of cases) {
      // Images begin at different times in different rows, and at the same time in none.
      const forced = (row: number, index: number, inImage: boolean) =>
        !inImage && (index === 2 * row + 1 || index > 24) ? 4 : undefined;
      const cached = ids(models[name], { ...options, forced });
      assert.deepEqual(cached, ids(models[name], { ...options, forced, cache: false }));
      images += cached.flat().filter((id) => id === models[name].vocabulary.eoi).length;
    }
    assert.ok(images >= 15, `${images} images were drawn`);
  });

  test('a row does not depend on its neighbours', () => {
    const options = { maxNewTokens: 12, guidanceScale: 2, maxImages: 1 };
    const together = ids(models.chameleon, options);
    prompts.forEach((prompt, b) => {
      const [alone] = sampleSequences(models.chameleon, [prompt], [rngs(3)[b]], options);
      assert.deepEqual(Array.from(alone.ids), together[b]);
    });
  });

  test('images follow their layout, hold codes only, and are finished past the limit', () => {
    for (const [name, grid] of [
      ['chameleon', undefined],
      ['lumina', [4, 2]],
      ['lumina', [6, 4]],
    ] as const) {
      const model = models[name];
      const { boi } = model.vocabulary;
      const forced = (_row: number, index: number, inImage: boolean) => (index === 4 && !inImage ? boi : undefined);
      const sampled = sampleSequences(model, prompts, rngs(9), { maxNewTokens: 6, forced, grid, stop: [], guidanceScale: 4 }); // prettier-ignore
      for (const { prompt, ids: row, drawn, inImage, finished, logProbs } of sampled) {
        assert.equal(finished, false);
        const parts = partsOf(model.config, model.vocabulary, [...prompt, ...row], grid);
        const images = parts.filter((part) => part.kind === 'image');
        assert.ok(images.length >= 1);
        for (const { grid: own } of images) assert.deepEqual(own, grid ?? [4, 4]);
        row.forEach((id, i) => {
          const code = model.vocabulary.codeOfId[id] >= 0;
          if (code) assert.ok(inImage[i] === 1 && drawn[i] === 1, 'codes are drawn, and stand in images alone');
          else if (inImage[i]) assert.equal(drawn[i], 0, 'what is no code in an image is forced');
          assert.ok(drawn[i] ? logProbs[i] < 0 : logProbs[i] === 0);
        });
      }
    }
    assert.equal(imageLength(models.lumina.config, [6, 4]), 2 + 6 * 5 + 1);
  });

  test('guidance moves images; top-k 1 and temperature 0 are greedy; limits and bans hold', () => {
    const model = models.chameleon;
    const { boi, eoi } = model.vocabulary;
    const image = (options: SequenceOptions) =>
      Array.from(sampleSequences(model, [[0, 25, 30, boi]], rngs(1, 1), { maxNewTokens: 1, ...options })[0].ids);
    assert.notDeepEqual(image({ guidanceScale: 1 }), image({ guidanceScale: 6 }));
    assert.deepEqual(image({ image: { topK: 1 } }), image({ image: { temperature: 0 } }));
    assert.equal(image({}).length, 17);
    assert.equal(image({})[16], eoi);
    const [half] = sampleSequences(model, [[0, boi, 12, 13]], rngs(1, 1), { maxNewTokens: 1, guidanceScale: 3 });
    assert.equal(half.ids.length, 15, 'a prompt that ends inside an image is carried on from there');
    const banned = Array.from({ length: 64 }, (_, id) => id).filter((id) => ![boi, 50].includes(id));
    const [text] = sampleSequences(model, [[0]], rngs(1, 1), { maxNewTokens: 24, banned, maxImages: 1, stop: [] });
    const said = new Set(text.ids.filter((_, i) => text.inImage[i] === 0));
    assert.deepEqual([...said].sort(), [boi, 50]);
    assert.equal(text.ids.filter((id) => id === boi).length, 1);
    const [ended] = sampleSequences(model, [[0, 9]], rngs(1, 1), { banned: banned.filter((id) => id !== 2).concat(50, boi), maxNewTokens: 9 }); // prettier-ignore
    assert.deepEqual([Array.from(ended.ids), ended.finished], [[2], true]);
  });

  test('what cannot be sampled is said', () => {
    const model = models.chameleon;
    const sample =
      (prompt: number[], options: SequenceOptions = {}) =>
      () =>
        sampleSequences(model, [prompt], rngs(1, 1), options);
    assert.throws(sample([]), /a prompt is empty/);
    assert.throws(sample([0, 64]), /id 64 at 1 of row 0 is outside 0\.\.63/);
    assert.throws(sample([0], { maxNewTokens: 200 }), /more than the model's 128 positions/);
    assert.throws(sample([0], { text: { temperature: -1 } }), /temperature is -1/);
    assert.throws(sample([0, 4], { forced: () => 50 }), /token 50 was forced inside an image/);
    assert.throws(() => sampleSequences(model, [[0]], []), /one stream a prompt/);
    assert.throws(
      () => sampleSequences(models.lumina, [[0]], rngs(1, 1), { grid: [3, 2] }),
      /3 codes along an axis are no multiple of 2/,
    );
    assert.throws(
      () => sampleSequences(models.lumina, [[0]], rngs(1, 1), { grid: [2, 20] }),
      /no token for a size of 10 steps/,
    );
  });

  test('nothing leaks, also when it throws', () => {
    const start = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) {
      ids(models.chameleon, { maxNewTokens: 6, guidanceScale: 3 }, i);
      assert.throws(
        () => ids(models.chameleon, { forced: (_row, index) => (index === 3 ? 99 : undefined) }),
        /(token|id) 99/,
      );
    }
    assert.equal(tf.memory().numTensors, start);
  });
});
