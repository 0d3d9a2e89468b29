import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startEngine, Rng, tf } from '../../src/engine';
import type { Image } from '../../src/io';
import { drawingSteps } from '../../src/models/drawing-steps';
import { answerQuestions, decodeImages, generateImages } from '../../src/models/generate';
import { JanusModel } from '../../src/models/janus';
import type { Asked, GeneratedImage } from '../../src/text/asked';
import { plainText, questionText } from '../../src/text/chat/janus';
import type { TextTokenizer } from '../../src/text/tokenizer';
import { fixtureModel, WORDS } from './janus/fixture';
import { tinyModel as tinyShowo } from './showo/tiny-showo';

interface Subject {
  readonly side: number;
  /** Codes of an image. */
  readonly codes: number;
  generate(captions: readonly string[], seed?: number): Promise<GeneratedImage[]>;
  answer(asked: readonly Asked[]): string[];
  show(codes: readonly ArrayLike<number>[]): Promise<Image[]>;
  read(images: readonly Image[]): Int32Array[];
  dispose(): void;
}

const SUBJECTS: Readonly<Record<string, () => Promise<Subject>>> = {
  'Show-o': async () => {
    const model = tinyShowo();
    return {
      side: 8,
      codes: 16,
      generate: (captions, seed) => generateImages(model, captions, { steps: 3, seed }),
      answer: (asked) => answerQuestions(model, asked, { maxNewTokens: 4 }),
      show: (codes) => decodeImages(model, codes),
      read: (images) => model.imageTokenizer.encode(images),
      dispose: () => model.dispose(),
    };
  },
  Janus: async () => {
    const model = await fixtureModel('janus');
    const side = model.config.vision.image_size;
    return {
      side,
      codes: 16,
      generate: (captions, seed) => generateImages(model, captions, { seed }),
      answer: (asked) => answerQuestions(model, asked, { maxNewTokens: 4 }),
      show: (codes) => decodeImages(model, codes),
      read: (images) => model.imageTokenizer.encode(images),
      dispose: () => model.dispose(),
    };
  },
};

const noise = (side: number, seed: number): Image => {
  const rng = new Rng(seed);
  return { width: side, height: side, rgb: Uint8Array.from({ length: 3 * side * side }, () => rng.int(256)) };
};

before(() => startEngine({ precision: 'float32' }));

describe('images and answers by text', () => {
  for (const [name, build] of Object.entries(SUBJECTS)) {
    test(`${name} draws captions`, async () => {
      const subject = await build();
      const tensors = tf.memory().numTensors;
      const captions = ['w21 w22', 'w23', 'w21 w22'];
      const drawn = await subject.generate(captions, 3);
      assert.deepEqual(
        drawn.map(({ caption }) => caption),
        captions,
      );
      for (const { codes, image } of drawn) {
        assert.equal(codes.length, subject.codes);
        assert.equal(image.rgb.length, 3 * subject.side ** 2);
      }
      assert.deepEqual(
        drawn.map(({ image }) => image),
        await subject.show(drawn.map(({ codes }) => codes)),
      );
      assert.notDeepEqual(drawn[0].codes, drawn[2].codes, 'each image has draws of its own');
      assert.deepEqual(await subject.generate(captions, 3), drawn);
      assert.deepEqual((await subject.generate(captions.slice(0, 1), 3))[0].codes, drawn[0].codes);
      assert.notDeepEqual((await subject.generate(captions, 4))[0].codes, drawn[0].codes);
      assert.deepEqual(await subject.generate([]), []);
      assert.equal(tf.memory().numTensors, tensors);
      subject.dispose();
    });

    test(`${name} answers questions, with an image and without`, async () => {
      const subject = await build();
      const tensors = tf.memory().numTensors;
      const [one, other] = [noise(subject.side, 1), noise(subject.side, 2)];
      const asked = [{ question: 'w24 w25', image: one }, { question: 'w24 w25' }, { question: 'w31', image: other }];
      const answers = subject.answer(asked);
      assert.equal(answers.length, 3);
      for (const answer of answers) assert.match(answer, /^(w\d+( w\d+){0,3})?$/);
      assert.notDeepEqual(answers[0], answers[1], 'the image is looked at');
      assert.deepEqual(
        asked.flatMap((question) => subject.answer([question])),
        answers,
      );
      assert.deepEqual(subject.answer([]), []);
      assert.equal(tf.memory().numTensors, tensors);
      const [codes] = subject.read([one]);
      assert.equal(codes.length, subject.codes);
      const wide = { width: 2 * subject.side, height: subject.side, rgb: new Uint8Array(6 * subject.side ** 2) };
      assert.throws(
        () => subject.answer([...asked, { question: 'w31', image: wide }]),
        new RegExp(`is .*${2 * subject.side} x ${subject.side}; this model sees ${subject.side} x ${subject.side}`),
      );
      subject.dispose();
    });
  }

  test('Janus-Pro is asked in its own format, which its tokenizer tells', async () => {
    const { network } = await fixtureModel('janus');
    const seen: string[] = [];
    const spy: TextTokenizer = {
      ...WORDS,
      encode: (text) => (seen.push(text), text ? [7] : []),
      idOf: (token) => (token === '<|User|>' ? 9 : undefined),
    };
    const model = new JanusModel(network, spy);
    answerQuestions(model, [{ question: 'w24', image: noise(model.config.vision.image_size, 1) }], { maxNewTokens: 1 });
    const { before: start, after: end } = questionText('w24');
    assert.deepEqual(seen.slice(0, 2), [start, end]);
    seen.length = 0;
    answerQuestions(model, [{ question: 'w24' }], { maxNewTokens: 1 });
    await generateImages(model, ['a cup']);
    assert.deepEqual(seen, [plainText('w24'), '<|User|>: a cup\n\n<|Assistant|>:']);
    model.dispose();
  });

  test('an image is seen at each step of masked decoding, and once where code follows code', async () => {
    const [showo, janus] = [tinyShowo(), await fixtureModel('janus')];
    const tensors = tf.memory().numTensors;
    for (const [model, wanted] of [
      [showo, [1, 2, 3]],
      [janus, [16]],
    ] as const) {
      const seen = [];
      for await (const one of drawingSteps(model, 'w21 w22', { steps: 3, seed: 3 })) seen.push(one);
      assert.deepEqual(
        seen.map(({ step }) => step),
        wanted,
      );
      const [{ image }] = await generateImages(model, ['w21 w22'], { steps: 3, seed: 3 });
      assert.deepEqual(seen.at(-1)?.image, image);
    }
    for await (const { step } of drawingSteps(janus, 'w21 w22')) if (step > 0) break;
    assert.equal(tf.memory().numTensors, tensors);
    showo.dispose();
    janus.dispose();
  });
});
