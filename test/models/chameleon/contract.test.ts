import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { crossEntropy, startEngine, Rng, tf } from '../../../src/engine';
import type { Image } from '../../../src/io';
import { ChameleonModel } from '../../../src/models/chameleon/model';
import { loadModel } from '../../../src/models/load';
import {
  type InterleavedExample,
  type InterleavedModel,
  type PersonalizableModel,
  PromptTooLongError,
  type SupervisedExample,
  type SupervisedLossOptions,
} from '../../../src/models/unified';
import { Lora } from '../../../src/nn/adapters';
import { drawing, requests, tinyConfig, tinyModel, words, texts } from './fixture';

let model: ChameleonModel;
let scratch: string;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  model = tinyModel();
  scratch = mkdtempSync(path.join(tmpdir(), 'unilab-chameleon-contract-'));
});
after(() => {
  model.dispose();
  rmSync(scratch, { recursive: true });
});

const noise = (seed: number, side = 8): Image => {
  const rng = new Rng(seed);
  return { width: side, height: side, rgb: Uint8Array.from({ length: 3 * side * side }, () => rng.int(256)) };
};

const ids = (list: readonly { readonly transitions: readonly { readonly sampledIds: Int32Array }[] }[]) =>
  list.map(({ transitions: [{ sampledIds }] }) => [...sampledIds]);

describe('prompts', () => {
  test('text and images in their order; what is drawn ends with the begin token', () => {
    const image = noise(1);
    const [codes] = model.imageTokenizer.encode([image]);
    const inIds = [4, ...[...codes].map((code) => model.network.vocabulary.idOfCode[code]), 5];
    assert.deepEqual(model.prompt(['w30 w31', image, 'w32'], 'understand').ids, [0, 30, 31, ...inIds, 32]);
    assert.deepEqual(model.prompt(['w30'], 'generate'), { task: 'generate', ids: [0, 30, 4] });
    assert.throws(() => model.prompt([noise(1, 6)], 'understand'), /6 x 6; this model sees 8 x 8 pixels/);
    const long = Array.from({ length: 130 }, () => 'w30').join(' ');
    assert.throws(() => model.prompt([long], 'understand'), PromptTooLongError);
  });

  test('conversations end with the separator, and so does an answer; Lumina-mGPT is told the size', () => {
    const said: string[] = [];
    const text = words();
    const spy = { ...text, encode: (part: string) => (said.push(part), [30]) };
    const config = tinyConfig({ prompt_format: 'conversation', layout: 'lumina' });
    const lumina = ChameleonModel.random(config, undefined, spy, new Rng(1));
    assert.deepEqual(lumina.prompt(['a fish'], 'understand').ids, [0, 30, 7]);
    assert.deepEqual(lumina.prompt(['a fish'], 'generate').ids, [0, 30, 7, 4]);
    assert.equal(said[1], 'Generate an image of 8x8 according to the following prompt:\na fish');
    for (const { transitions, finished } of lumina.sampleText(requests(1, texts), {
      maxNewTokens: 40,
      temperature: 5,
    })) {
      const [{ sampledIds }] = transitions;
      const ends = sampledIds.findIndex((id) => id === 7 || id === 2);
      assert.equal(finished, ends >= 0);
      if (ends >= 0) assert.equal(ends, sampledIds.length - 1);
    }
    lumina.dispose();
  });
});

describe('supervised loss', () => {
  const codes = Int32Array.from({ length: 16 }, (_, i) => (i * 5) % 11);
  const image = { codes, grid: [4, 4] } as const;

  test('text alone is the cross-entropy of every next token', () => {
    const loss = tf.tidy(() => model.supervisedLoss([{ task: 'text', text: 'w50 w51' }], new Rng(1)).dataSync()[0]);
    const expected = tf.tidy(() => {
      const hidden = tf.reshape<tf.Rank.R2>(model.network.hidden([[0, 50, 51]]), [3, -1]);
      return crossEntropy(model.network.logits(hidden), tf.tensor1d([50, 51, 2], 'int32')).dataSync()[0];
    });
    assert.ok(Math.abs(loss - expected) < 1e-5, `${loss} and ${expected}`);
  });

  test('kinds are weighted; answers about one image share a row; dropped prompts and exchanged words are seeded', () => {
    const loss = (examples: readonly SupervisedExample[], options: SupervisedLossOptions) =>
      tf.tidy(() => model.supervisedLoss(examples, new Rng(1), options).dataSync()[0]);
    const drawn = { task: 'generate', prompt: 'w40 w41', image } as const;
    const asked = { task: 'understand', parts: [image, 'w30 w32'], answer: 'w40' } as const;
    const other = { task: 'understand', parts: [image, 'w31'], answer: 'w42 w43' } as const;
    const plain = { cfgDropout: 0 };
    const [g, u] = [loss([drawn], plain), loss([asked, other], plain)];
    const weights = { generate: 2, understand: 0.5 };
    assert.ok(Math.abs(loss([drawn, asked, other], { ...plain, weights }) - (2 * g + 0.5 * u)) < 1e-4);
    // Means over tokens: two of the first's (answer, end), three of the second's.
    const apart = (2 * loss([asked], plain) + 3 * loss([other], plain)) / 5;
    assert.ok(Math.abs(u - apart) < 1e-4, `${u} and ${apart}`);
    assert.notEqual(loss([drawn], { cfgDropout: 1 }), g);
    assert.notEqual(loss([asked, other], { answerCorruption: 0.9 }), u);
    assert.equal(loss([asked, other], { answerCorruption: 0.9 }), loss([asked, other], { answerCorruption: 0.9 }));
    const picture = noise(3);
    const encoded = { codes: model.imageTokenizer.encode([picture])[0], grid: [4, 4] } as const;
    assert.equal(loss([{ ...drawn, image: picture }], plain), loss([{ ...drawn, image: encoded }], plain));
  });

  test('a sequence is scored from its answer on, images and text alike', () => {
    const loss = (example: InterleavedExample, cfgDropout = 0) =>
      tf.tidy(() => model.supervisedLoss([example], new Rng(1), { cfgDropout }).dataSync()[0]);
    const equal = (one: InterleavedExample, other: InterleavedExample, dropout = 0) =>
      assert.ok(Math.abs(loss(one, dropout) - loss(other, dropout)) < 1e-5);
    const prompt = ['w30 w32'];
    equal({ task: 'sequence', prompt, answer: ['w40'] }, { task: 'understand', parts: prompt, answer: 'w40' });
    const drawn = { task: 'generate', prompt: 'w30 w32', image } as const;
    equal({ task: 'sequence', prompt, answer: [image] }, drawn);
    // Without its prompt the last image stands alone, whatever came before it.
    equal({ task: 'sequence', prompt: [image], answer: ['w40', noise(2), 'w41', image] }, drawn, 1);
    // 4 words, 2 images of 18 tokens and the end are scored: logits for each of them.
    const whole = { task: 'sequence', prompt: [image], answer: ['w40 w41', image, 'w42 w43', image] } as const;
    const expected = tf.tidy(() => {
      const v = model.network.vocabulary;
      const drawnIds = [v.boi, ...Array.from(codes, (code) => v.idOfCode[code]), v.eoi];
      const ids = [0, ...drawnIds, 40, 41, ...drawnIds, 42, 43, ...drawnIds, 2];
      const hidden = tf.slice(model.network.hidden([ids]), [0, 18, 0], [1, 41, -1]);
      const targets = tf.tensor1d(ids.slice(19), 'int32');
      return crossEntropy(model.network.logits(tf.reshape<tf.Rank.R2>(hidden, [41, -1])), targets).dataSync()[0];
    });
    assert.ok(Math.abs(loss(whole) - expected) < 1e-5, `${loss(whole)} and ${expected}`);
  });

  test('what cannot be learned from is said, and nothing leaks', () => {
    const start = tf.memory().numTensors;
    const loss = (...given: Parameters<ChameleonModel['supervisedLoss']>) => model.supervisedLoss(...given);
    assert.throws(() => loss([], new Rng(1)), /one example at least/);
    const text = [{ task: 'text', text: 'w50' }] as const;
    assert.throws(() => loss(text, new Rng(1), { cfgDropout: 1.5 }), /cfgDropout is 1.5/);
    assert.throws(() => loss(text, new Rng(1), { wrongCodes: -1 }), /wrongCodes is -1/);
    assert.throws(() => loss(text, new Rng(1), { weights: { text: NaN } }), /weight of 'text' is NaN/);
    const long = Array.from({ length: 130 }, () => 'w30').join(' ');
    assert.throws(() => loss([{ task: 'text', text: long }], new Rng(1)), PromptTooLongError);
    assert.throws(() => loss([{ task: 'generate', prompt: 'w30', image: noise(1, 6) }], new Rng(1)), /6 x 6/);
    assert.equal(tf.memory().numTensors, start);
  });
});

describe('concept tokens', () => {
  const options = { initializer: 'w50', understanding: 2, generation: 1 };

  test('<sks> is expanded in both pathways, an answer can say it, and both tables learn', async () => {
    const own: PersonalizableModel & InterleavedModel = tinyModel();
    const taught = own as ChameleonModel;
    const start = tf.memory().numTensors;
    const names = taught.addConceptTokens(options, new Rng(3));
    assert.deepEqual(names, { embed: 'model.embed_tokens.extra.weight', output: 'lm_head.extra.weight' });
    assert.throws(() => taught.addConceptTokens(options, new Rng(3)), /a subject already/);
    assert.deepEqual(taught.prompt(['w30 <sks> w31 <sks>'], 'understand').ids, [0, 30, 64, 65, 66, 67, 31, 67]);
    assert.deepEqual(taught.prompt(['<sks>'], 'generate').ids, [0, 64, 65, 66, 67, 4]);

    const said = new Set<number>();
    const answers: string[] = [];
    for (let seed = 0; seed < 8; seed++)
      for (const { transitions, text } of taught.sampleText(requests(seed, texts), {
        maxNewTokens: 30,
        temperature: 9,
      })) {
        transitions[0].sampledIds.forEach((id) => said.add(id));
        answers.push(text);
      }
    assert.ok(said.has(67) && ![64, 65, 66].some((id) => said.has(id)), [...said].join(' '));
    assert.ok(answers.some((text) => text.includes('<sks>')));

    const prompt = taught.prompt(['w30 <sks>'], 'interleave');
    const asked = () => requests(2, [prompt, prompt]);
    const list = taught
      .sampleText(asked(), { maxNewTokens: 9, temperature: 4 })
      .flatMap(({ transitions }) => transitions);
    const values = tf.tidy(() => taught.replay(list).arraySync());
    list.forEach(({ logProbs }, b) => logProbs.forEach((p, i) => assert.ok(Math.abs(values[b][i] - p) < 1e-4)));

    const variables = [names.embed, names.output].map((name) => taught.variables()[name]);
    const example = { task: 'understand', parts: ['w30 <sks>'], answer: 'w31 <sks>' } as const;
    const { value, grads } = tf.variableGrads(() => taught.supervisedLoss([example], new Rng(1)), variables);
    for (const { name } of variables) assert.ok(tf.tidy(() => tf.max(tf.abs(grads[name])).dataSync()[0]) > 0);
    tf.dispose([value, grads] as tf.TensorContainer);

    const folder = path.join(scratch, 'taught');
    await taught.savePretrained(folder);
    const again = (await loadModel(folder)) as ChameleonModel;
    assert.deepEqual(again.prompt(['<sks>'], 'generate'), taught.prompt(['<sks>'], 'generate'));
    assert.deepEqual(ids(again.sampleText(asked())), ids(taught.sampleText(asked())));
    again.dispose();

    const reference = taught.frozenCopy();
    taught.removeConceptTokens();
    assert.deepEqual(Object.keys(reference.variables()), []);
    assert.deepEqual(ids(reference.sampleText(requests(2, [prompt]))).length, 1);
    reference.dispose();
    assert.equal(tf.memory().numTensors, start);
    taught.dispose();
  });

  test('what cannot be a subject is said', () => {
    const add = (change: object) => () => model.addConceptTokens({ ...options, ...change }, new Rng(1));
    assert.throws(add({ initializer: 'w50 w51' }), /'w50 w51' is 2 tokens/);
    assert.throws(add({ understanding: -1 }), /understanding is -1/);
    assert.throws(add({ generation: 0.5 }), /generation is 0.5/);
    assert.throws(add({ placeholder: ' ' }), /placeholder is empty/);
  });
});

describe('copies and adapters', () => {
  const asked = () => requests(4, [drawing(25, 30), drawing(40)]);

  test('a frozen copy stands still, in float32 and in bfloat16', () => {
    const start = tf.memory().numTensors;
    for (const dtype of ['F32', 'BF16'] as const) {
      const copy = model.frozenCopy(dtype);
      const images = model.imageSampler(asked(), { guidanceScale: 2 }).finish();
      const transitions = images.flatMap((image) => image.transitions);
      const [mine, its] = [model, copy].map((one) => tf.tidy(() => one.replay(transitions).dataSync()));
      const worst = Float32Array.from(mine).reduce((most, value, i) => Math.max(most, Math.abs(value - its[i])), 0);
      assert.ok(dtype === 'F32' ? worst === 0 : worst > 0 && worst < 2, `${dtype}: ${worst}`);
      copy.dispose();
    }
    assert.equal(tf.memory().numTensors, start);
  });

  test('adapters learn in place of the layers; a copy of before does not; saving gives the sum', async () => {
    const adapted = tinyModel({}, 9);
    const before = ids(adapted.imageSampler(asked()).finish());
    const targets = ['q_proj', 'v_proj', 'lm_head'];
    const lora = Lora.create(adapted.layers, { rank: 2, targets }, new Rng(1));
    adapted.attachAdapters(lora);
    assert.deepEqual(ids(adapted.imageSampler(asked()).finish()), before, 'fresh adapters change nothing');
    const names = Object.keys(adapted.variables());
    assert.ok(names.length === 10 && names.every((name) => /lora_[AB]\.weight$/.test(name)), names.join(' '));
    const reference = adapted.frozenCopy();
    for (const variable of Object.values(adapted.variables()))
      tf.tidy(() => variable.assign(tf.tensor(new Rng(7).normal(variable.size), variable.shape)));
    const moved = adapted.imageSampler(asked(), { temperature: 0 }).finish();
    assert.notDeepEqual(ids(moved), before);
    const transitions = moved.flatMap((image) => image.transitions);
    const values = tf.tidy(() => adapted.replay(transitions).arraySync());
    transitions.forEach(({ logProbs, actionMask }, b) =>
      logProbs.forEach((p, i) => assert.ok(!actionMask[i] || Math.abs(values[b][i] - p) < 1e-3)),
    );
    assert.deepEqual(ids(reference.imageSampler(asked()).finish()), before);
    reference.dispose();
    const folder = path.join(scratch, 'adapted');
    await adapted.savePretrained(folder);
    const sum = await loadModel(folder);
    assert.deepEqual(ids(sum.imageSampler(asked(), { temperature: 0 }).finish()), ids(moved));
    sum.dispose();
    assert.throws(() => adapted.attachAdapters(lora), /adapters already/);
    adapted.dispose();
  });

  test('gradient checkpointing changes no gradient', () => {
    const own = tinyModel({}, 3);
    const gradients = () => {
      const { value, grads } = tf.variableGrads(
        () => own.supervisedLoss([{ task: 'text', text: 'w50 w51 w52' }], new Rng(1)),
        Object.values(own.variables()),
      );
      const flat = Object.values(grads).flatMap((grad) => [...grad.dataSync()]);
      tf.dispose([value, grads] as tf.TensorContainer);
      return flat;
    };
    const plain = gradients();
    own.gradientCheckpointing = true;
    gradients().forEach((value, i) => assert.ok(Math.abs(value - plain[i]) < 1e-5));
    own.dispose();
  });
});
