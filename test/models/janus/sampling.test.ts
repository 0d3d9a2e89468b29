import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { type AnswerOptions, sampleAnswers } from '../../../src/models/janus/answers';
import type { JanusModel } from '../../../src/models/janus/model';
import { ImageBatch, type ImageOptions } from '../../../src/models/janus/images';
import { drawToken, logProbOf } from '../../../src/nn/token-sampling';
import { fixtureModel, nextCodeLogits, nextTextLogits, prefixes, prompts } from './fixture';

const models: JanusModel[] = [];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.push(await fixtureModel('janus'), await fixtureModel('janus_tied'));
});
after(() => models.forEach((model) => model.dispose()));

const rngs = (count: number, seed = 7) => Array.from({ length: count }, (_, i) => new Rng(seed).split(i));

describe('answers', () => {
  for (const [name, options] of Object.entries({
    greedy: { temperature: 0 },
    sampled: {},
    'tempered, top-k, top-p': { temperature: 0.8, topK: 20, topP: 0.9 },
  })) {
    test(`with the cache, in a batch of different lengths, are those without it: ${name}`, () => {
      for (const model of models) {
        const asked = prefixes(model);
        const got = sampleAnswers(model, asked, rngs(3), { ...options, maxNewTokens: 7 });
        const draws = rngs(3);
        asked.forEach((prefix, b) => {
          const ids: number[] = [];
          for (let step = 0; step < got[b].ids.length; step++) {
            const logits = nextTextLogits(model, prefix, ids);
            const id = drawToken(logits, 0, logits.length, options, draws[b]);
            ids.push(id);
            const temperature = (options as AnswerOptions).temperature || 1;
            const logProb = logProbOf(logits, 0, logits.length, id, temperature);
            assert.ok(Math.abs(logProb - got[b].logProbs[step]) < 1e-4, `row ${b}, step ${step}`);
          }
          assert.deepEqual(got[b].ids, ids);
          assert.equal(got[b].finished, ids[ids.length - 1] === model.config.tokens.eos);
          assert.ok(got[b].finished || ids.length === 7);
        });
      }
    });
  }

  test('end at the end token, each row on its own; forced ids stand first and are no decisions', () => {
    const [model] = models;
    const asked = prefixes(model);
    const forced = [[11, model.config.tokens.eos], [12], []];
    const got = sampleAnswers(model, asked, rngs(3), { maxNewTokens: 5, forced });
    assert.deepEqual(got[0].ids, [11, model.config.tokens.eos]);
    assert.ok(got[0].finished);
    assert.deepEqual([...got[0].mask], [0, 0]);
    assert.equal(got[1].ids[0], 12);
    assert.deepEqual([...got[1].mask], [0, 1, 1, 1, 1]);
    assert.deepEqual([...got[2].mask], [1, 1, 1, 1, 1]);
    const alone = sampleAnswers(model, [asked[2]], [new Rng(7).split(2)], { maxNewTokens: 5 });
    assert.deepEqual(got[2].ids, alone[0].ids, 'a row does not depend on its neighbours');
  });

  test('a group shares its prefix and differs in its draws', () => {
    const [, model] = models;
    const [prefix] = prefixes(model);
    const group = sampleAnswers(model, [prefix, prefix, prefix, prefix], rngs(4), { maxNewTokens: 6 });
    const alone = rngs(4).map((rng) => sampleAnswers(model, [{ ...prefix }], [rng], { maxNewTokens: 6 })[0]);
    assert.deepEqual(group.map(({ ids }) => ids), alone.map(({ ids }) => ids)); // prettier-ignore
    assert.ok(new Set(group.map(({ ids }) => ids.join())).size > 1);
  });

  test('bad calls are named', () => {
    const [model] = models;
    const [prefix] = prefixes(model);
    assert.throws(() => sampleAnswers(model, [prefix], []), /1 prefixes need as many streams, got 0/);
    assert.throws(() => sampleAnswers(model, [prefix], rngs(1), { topP: 0 }), /topP is 0/);
    const small = { width: 3, height: 3, rgb: new Uint8Array(27) };
    assert.throws(() => sampleAnswers(model, [{ ...prefix, image: small }], rngs(1)), /an image is 3 x 3; this model sees 32 x 32/); // prettier-ignore
    assert.throws(() => sampleAnswers(model, [{ ids: prefix.ids.slice(4), image: prefix.image }], rngs(1)), /15 placeholders \(id 500\) stand in the rows, but the features are \[1,16,64\]/); // prettier-ignore
    assert.throws(
      () => sampleAnswers(model, [{ ids: [1, 512] }], rngs(1)),
      /token 512 at 1 of row 0 is outside 0..511/,
    );
  });
});

describe('images', () => {
  for (const [name, options] of Object.entries({
    'greedy, guided': { temperature: 0, guidanceScale: 5 },
    'sampled, guided': { guidanceScale: 3 },
    'tempered, top-k, top-p, no guidance': { temperature: 0.7, topK: 12, topP: 0.95, guidanceScale: 1 },
  })) {
    test(`with the cache, in a batch of different lengths, are those without it: ${name}`, () => {
      for (const model of models) {
        const asked = prompts(model);
        const got = new ImageBatch(model, asked, rngs(3), options).finish();
        const draws = rngs(3);
        asked.forEach((prompt, b) => {
          const codes: number[] = [];
          while (codes.length < got[b].codes.length) {
            const logits = nextCodeLogits(model, prompt, codes, options.guidanceScale);
            codes.push(drawToken(logits, 0, logits.length, options, draws[b]));
          }
          assert.deepEqual([...got[b].codes], codes, `image ${b}`);
        });
      }
    });
  }

  test('log-probs: guided and conditional differ under guidance, and are one without; forced codes are no decisions', () => {
    const [model] = models;
    const asked = prompts(model).slice(0, 1);
    const sample = (options: ImageOptions) => new ImageBatch(model, asked, rngs(1), options).finish()[0];
    const guided = sample({ guidanceScale: 5 });
    assert.ok(guided.guided.some((value, i) => Math.abs(value - guided.conditional[i]) > 0.1));
    const plain = sample({ guidanceScale: 1 });
    assert.deepEqual(plain.guided, plain.conditional);
    const forced = sample({ forced: [[3, 1, 4]] });
    assert.deepEqual([...forced.codes.slice(0, 3)], [3, 1, 4]);
    assert.deepEqual([...forced.mask.slice(0, 5)], [0, 0, 0, 1, 1]);
    assert.throws(() => sample({ guidanceScale: NaN }), /guidanceScale is NaN/);
  });

  test('a group shares its prompt; a batch can be stopped, and leaves nothing behind', () => {
    const [, model] = models;
    const [prompt] = prompts(model);
    const options = { guidanceScale: 1.5 };
    const group = new ImageBatch(model, [prompt, prompt, prompt], rngs(3), options).finish();
    const alone = rngs(3).map((rng) => new ImageBatch(model, [[...prompt]], [rng], options).finish()[0]);
    assert.deepEqual(group.map(({ codes }) => codes), alone.map(({ codes }) => codes)); // prettier-ignore
    assert.notDeepEqual(group[0].codes, group[1].codes);
    const start = tf.memory().numTensors;
    const stopped = new ImageBatch(model, [prompt], rngs(1), options);
    stopped.advance();
    stopped.advance();
    assert.equal(stopped.stepsDone, 2);
    assert.deepEqual([...stopped.codes[0].slice(0, 3)], [...group[0].codes.slice(0, 2), -1]);
    assert.ok(tf.memory().numTensors > start);
    stopped.dispose();
    assert.equal(tf.memory().numTensors, start);
  });
});

describe('decoding', () => {
  test('holds as many tensors at step 50 as at the first, and none at the end', () => {
    const [, model] = models;
    const asked = prefixes(model);
    const start = tf.memory().numTensors;
    const counts: number[] = [];
    const observe = () => void counts.push(tf.memory().numTensors);
    // Forced, so that no row ends before the others.
    sampleAnswers(model, asked, rngs(3), { maxNewTokens: 50, observe, forced: asked.map(() => new Array<number>(50).fill(9)) }); // prettier-ignore
    assert.equal(counts.length, 50);
    assert.equal(new Set(counts).size, 1, counts.join());
    assert.equal(tf.memory().numTensors, start);
    counts.length = 0;
    for (let i = 0; i < 4; i++) new ImageBatch(model, prompts(model), rngs(3), { observe }).finish();
    assert.equal(new Set(counts).size, 1, counts.join());
    assert.equal(tf.memory().numTensors, start);
  });
});
