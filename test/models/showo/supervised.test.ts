import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { PromptTooLongError, type SupervisedExample } from '../../../src/models/unified';
import { textToImageExample } from '../../../src/models/showo/layout';
import type { ShowoModel } from '../../../src/models/showo/model';
import {
  answerInputs,
  imageInputs,
  maskedPositions,
  packImage,
  packText,
  scoredLoss,
} from '../../../src/models/showo/supervised';
import { noiseImage, tinyModel } from './tiny-showo';

let model: ShowoModel;

before(async () => {
  await startEngine({ precision: 'float32' });
  model = tinyModel();
});

const image = noiseImage(8, 8, 1);
const drawn: SupervisedExample = { task: 'generate', prompt: 'w5 w6', image };
const asked: SupervisedExample[] = [
  { task: 'understand', parts: [image, 'w8 w9'], answer: 'w10 w11' },
  { task: 'understand', parts: [image, 'w7'], answer: 'w12' },
];
const told: SupervisedExample[] = [
  { task: 'understand', parts: ['w13 w14', 'w17'], answer: 'w15' },
  { task: 'understand', parts: ['w13 w14', 'w18'], answer: 'w16' },
];
const text: SupervisedExample = { task: 'text', text: 'w20 w21 w22' };

/** Loss and gradients of everything that learns. */
function gradients(loss: () => tf.Scalar): { value: number; grads: Record<string, Float32Array> } {
  const variables = model.variables();
  const { value, grads } = tf.variableGrads(loss, Object.values(variables));
  const read = Object.entries(variables).map(
    ([name, v]) => [name, grads[v.name].dataSync<'float32'>().slice()] as const,
  );
  const out = { value: value.dataSync()[0], grads: Object.fromEntries(read) };
  tf.dispose([value, grads]);
  return out;
}

/** The terms written out, as training wrote them before: rows by hand, one packed row an image or text. */
function terms(rng: Rng) {
  const { config, network } = model;
  const [codes] = model.imageTokenizer.encode([image]);
  const masks = rng.split('masks');
  masks.uniform(); // whether the prompt is dropped
  const row = textToImageExample(config, [5, 6], codes, maskedPositions(config.num_vq_tokens, masks));
  const seen = packImage(config, codes, [
    { question: [8, 9], answer: [10, 11] },
    { question: [7], answer: [12] },
  ]);
  const read = packText(
    config,
    [13, 14],
    [
      { question: [17], answer: [15] },
      { question: [18], answer: [16] },
    ],
  );
  return {
    t2i: () => scoredLoss(network, imageInputs(config, [row])),
    mmu: () => scoredLoss(network, answerInputs(config, [seen, read])),
  };
}

describe('the supervised loss', () => {
  test('has the value and the gradients of its terms written out', () => {
    const { t2i, mmu } = terms(new Rng(3));
    const expected = gradients(() => tf.add(tf.mul(t2i(), 0.5), tf.mul(mmu(), 2)));
    const examples = [asked[0], drawn, told[0], asked[1], told[1]];
    const options = { cfgDropout: 0, weights: { generate: 0.5, understand: 2 } };
    const found = gradients(() => model.supervisedLoss(examples, new Rng(3), options));
    assert.ok(Math.abs(found.value - expected.value) < 1e-6, `${found.value} and ${expected.value}`);
    for (const [name, gradient] of Object.entries(expected.grads))
      gradient.forEach((g, i) => assert.ok(Math.abs(g - found.grads[name][i]) < 1e-6, name));
  });

  test('weighs text a tenth of the rest, as published', () => {
    const lossOf = (...args: Parameters<ShowoModel['supervisedLoss']>) =>
      tf.tidy(() => model.supervisedLoss(...args).dataSync()[0]);
    const [plain, whole] = [{}, { weights: { text: 1 } }].map((options) => lossOf([text], new Rng(1), options));
    assert.ok(Math.abs(whole - 10 * plain) < 1e-5);
    // Fresh weights know nothing: each word is one of 67 ids.
    assert.ok(Math.abs(whole - Math.log(67)) < 0.5, String(whole));
    const [published] = [lossOf([drawn, ...asked, text], new Rng(1))];
    const parts = [[drawn], asked, [text]].map((list) => lossOf(list, new Rng(1)));
    assert.ok(Math.abs(published - parts[0] - parts[1] - parts[2]) < 1e-5);
  });

  test('drops prompts and exchanges words as often as asked, the same way for the same seed', () => {
    const lossOf = (seed: number, options: object) =>
      tf.tidy(() => model.supervisedLoss([drawn, ...asked], new Rng(seed), options).dataSync()[0]);
    assert.equal(lossOf(1, { cfgDropout: 0.5 }), lossOf(1, { cfgDropout: 0.5 }));
    assert.notEqual(lossOf(1, { cfgDropout: 0 }), lossOf(1, { cfgDropout: 1 }));
    assert.notEqual(lossOf(1, { cfgDropout: 0 }), lossOf(1, { cfgDropout: 0, answerCorruption: 0.9 }));
  });

  test('says what it cannot be shown, and leaves no tensors', () => {
    const loss = (examples: SupervisedExample[]) => model.supervisedLoss(examples, new Rng(1), { cfgDropout: 0 });
    loss([drawn]).dispose();
    const tensors = tf.memory().numTensors;
    loss([drawn, ...asked, ...told, text]).dispose();
    assert.throws(() => loss([]), RangeError);
    assert.throws(() => loss([{ task: 'generate', prompt: 'w1 '.repeat(20), image }]), PromptTooLongError);
    assert.throws(
      () => loss([{ task: 'understand', parts: [image, image, 'w1'], answer: 'w1' }]),
      /one image at a time/,
    );
    assert.throws(
      () => loss([asked[0], { task: 'understand', parts: [noiseImage(4, 8, 1)], answer: 'w1' }]),
      RangeError,
    );
    assert.equal(tf.memory().numTensors, tensors);
  });
});
