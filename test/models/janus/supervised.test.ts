import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { JanusModel } from '../../../src/models/janus/model';
import { imageInputs } from '../../../src/models/janus/inputs';
import { imageLoss } from '../../../src/models/janus/supervised';
import { withWrongCodes } from '../../../src/nn/code-noise';
import type { SupervisedExample, SupervisedLossOptions } from '../../../src/models/unified';
import { ask, fixtureModel, noiseImage, WORDS } from './fixture';

let model: JanusModel;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  model = await fixtureModel('janus');
});
after(() => model.dispose());

const loss = (examples: readonly SupervisedExample[], options: SupervisedLossOptions = {}, seed = 1) =>
  readValues(() => model.supervisedLoss(examples, new Rng(seed), options))[0];
const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-4, `${a} and ${b}`);

describe('the supervised loss', () => {
  test('of an answer is minus the mean log-prob of what is replayed', () => {
    const image = noiseImage(model, 3);
    const parts = [image, 'w9 w8'];
    const prompt = model.prompt(parts, 'understand');
    assert.equal(prompt.task, 'understand');
    const sampledIds = Int32Array.from([21, 22, model.config.tokens.eos]);
    const rest = { logProbs: new Float32Array(3), actionMask: new Uint8Array(3).fill(1), temperature: 1 };
    const said = { segment: 'understanding', prompt, sampledIds, ...rest } as const;
    const [row] = tf.tidy(() => model.replay([said as Parameters<typeof model.replay>[0][number]]).arraySync());
    // The supervised loss is over the whole vocabulary, replay over what can be said: the difference is tiny here.
    const expected = -(row[0] + row[1] + row[2]) / 3;
    assert.ok(Math.abs(loss([{ task: 'understand', parts, answer: 'w21 w22' }]) - expected) < 0.05);
  });

  test('is one mean a kind, weighted; questions about one image share a row and count as alone', () => {
    const [one, other] = [noiseImage(model, 3), noiseImage(model, 4)];
    const question = (image: typeof one, words: string, answer: string): SupervisedExample => {
      return { task: 'understand', parts: [image, words], answer };
    };
    const list = [question(one, 'w9', 'w21'), question(other, 'w9 w10', 'w22'), question(one, 'w11 w12', 'w23')];
    const alone = list.map((example) => loss([example]));
    near(loss(list), (alone[0] + alone[1] + alone[2]) / 3);
    const text: SupervisedExample = { task: 'text', text: 'w30 w31 w32' };
    const drawn: SupervisedExample = { task: 'generate', prompt: 'w5', image: one };
    const options = { cfgDropout: 0, weights: { text: 0.5, generate: 2 } };
    near(loss([list[0], text, drawn], options), alone[0] + 0.5 * loss([text]) + 2 * loss([drawn], { cfgDropout: 0 }));
    const [codes] = model.imageTokenizer.encode([one]);
    const encoded = { codes, grid: model.imageTokenizer.grid };
    near(loss([{ ...drawn, image: encoded }], options), loss([drawn], options));
    assert.ok(Number.isFinite(loss([{ task: 'understand', parts: [encoded, 'w9'], answer: 'w21' }])));
    assert.notEqual(loss([drawn], { cfgDropout: 1 }), loss([drawn], { cfgDropout: 0 }));
    assert.equal(loss(list, { answerCorruption: 0.5 }), loss(list, { answerCorruption: 0.5 }));
    assert.throws(() => loss([]), RangeError);
  });

  test('images are read behind wrong codes of another image, and scored as they are', () => {
    const images = [3, 4, 5, 6].map((seed) => noiseImage(model, seed));
    const drawn = images.map((image): SupervisedExample => ({ task: 'generate', prompt: 'w5 w6', image }));
    const options = (wrongCodes: number) => ({ cfgDropout: 0, wrongCodes });
    assert.equal(loss([drawn[0]], options(1)), loss([drawn[0]], options(0))); // there is no other image
    assert.notEqual(loss(drawn, options(1)), loss(drawn, options(0)));
    const codes = model.imageTokenizer.encode(images).map((one) => Array.from(one));
    const read = withWrongCodes(codes, 1, new Rng(1).split('wrong codes'), 'cosine');
    const { ids } = model.prompt(['w5 w6'], 'generate');
    const expected = readValues(() => {
      const inputs = imageInputs(
        model.network,
        images.map(() => ids),
        codes,
        undefined,
        read,
      );
      return imageLoss(model.network, inputs);
    })[0];
    near(loss(drawn, options(1)), expected);
  });

  test('leaves nothing behind, and its gradient reaches what it should', () => {
    const start = tf.memory().numTensors;
    const examples: SupervisedExample[] = [
      { task: 'understand', parts: [noiseImage(model, 3), 'w9'], answer: 'w21' },
      { task: 'generate', prompt: 'w5 w6', image: noiseImage(model, 4) },
    ];
    const variables = model.variables();
    const { value, grads } = tf.variableGrads(
      () => model.supervisedLoss(examples, new Rng(1)),
      Object.values(variables),
    );
    for (const [name, variable] of Object.entries(variables))
      assert.ok(readValues(() => tf.sum(tf.abs(grads[variable.name])))[0] > 0, name);
    tf.dispose([value, grads] as tf.TensorContainer);
    assert.equal(tf.memory().numTensors, start);
    assert.throws(() => loss([{ task: 'text', text: 'w4000' }]), RangeError);
    assert.equal(tf.memory().numTensors, start);
  });
});

describe('concept tokens', () => {
  const options = { initializer: 'w21', understanding: 3, generation: 2 };

  test('are in both kinds of prompt, learn alone, and can be said', () => {
    const start = tf.memory().numTensors;
    const before = loss([{ task: 'text', text: 'w30 w31' }]);
    const rows = model.addConceptTokens(options, new Rng(4));
    const [added, subject] = [[513, 514, 515, 516, 517], 512];
    const prompt = model.prompt(['w7 <sks> w8 <sks>'], 'understand');
    assert.deepEqual(prompt.ids, [1, 7, ...added, subject, 8, subject]);
    assert.deepEqual(model.prompt(['w7 <sks>'], 'generate').ids, [1, 7, ...added, subject, 501]);
    assert.ok(Math.abs(loss([{ task: 'text', text: 'w30 w31' }]) - before) < 0.01, 'the new word is unlikely at first');
    assert.throws(() => model.addConceptTokens(options, new Rng(4)), /has concept tokens already/);

    const learning = [rows.embed, rows.output].map((name) => model.variables()[name]);
    assert.deepEqual(
      learning.map(({ shape }) => shape),
      [
        [6, 64],
        [1, 64],
      ],
    );
    const examples: SupervisedExample[] = [{ task: 'understand', parts: ['<sks> w9'], answer: '<sks> w21' }];
    for (let i = 0; i < 60; i++) {
      const { value, grads } = tf.variableGrads(() => model.supervisedLoss(examples, new Rng(1)), learning);
      tf.tidy(() => learning.forEach((v) => v.assign(tf.sub(v, tf.mul(grads[v.name], 2)))));
      tf.dispose([value, grads] as tf.TensorContainer);
    }
    const request = ask([model.prompt(['<sks> w9'], 'understand')]);
    const [said] = model.sampleText(request, { temperature: 0, maxNewTokens: 2 });
    assert.equal(said.transitions[0].sampledIds[0], subject);
    assert.match(said.text, /^<sks>/);
    const frozen = model.frozenCopy();
    for (const one of [model, frozen]) {
      const [row] = tf.tidy(() => one.replay(said.transitions).arraySync());
      row.forEach((value, i) => assert.ok(Math.abs(value - said.transitions[0].logProbs[i]) < 1e-4));
    }
    frozen.dispose();
    model.removeConceptTokens();
    assert.equal(loss([{ task: 'text', text: 'w30 w31' }]), before);
    assert.equal(tf.memory().numTensors, start);
    assert.throws(() => model.addConceptTokens({ initializer: 'w21 w22' }, new Rng(4)), /is 2 tokens/);
    assert.throws(() => model.addConceptTokens({ ...options, generation: -1 }, new Rng(4)), /generation is -1/);
  });

  test('go with a tokenizer that knows the placeholder as a word of its own', () => {
    const words = { ...WORDS, encode: (text: string) => WORDS.encode(text.replaceAll('<sks>', 'w5')) };
    const other = new JanusModel(model.network, words);
    assert.deepEqual(other.prompt(['w7 <sks>'], 'understand').ids, [1, 7, 5]);
    other.addConceptTokens(options, new Rng(4));
    assert.deepEqual(other.prompt(['w7 <sks>'], 'understand').ids, [1, 7, 513, 514, 515, 516, 517, 512]);
    other.removeConceptTokens();
  });
});
