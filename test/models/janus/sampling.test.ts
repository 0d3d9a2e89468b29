import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEngine, tf } from '../../../src/engine';
import { imageIds } from '../../../src/models/janus/layout';
import type { JanusModel } from '../../../src/models/janus/model';
import type { ImageOptions, TextOptions } from '../../../src/models/unified';
import { drawToken, logProbOf } from '../../../src/nn/token-sampling';
import { ask, fixtureModel, nextCodeLogits, nextTextLogits, noiseImage, prompts, questions } from './fixture';
import { rngs, idsOf, codesOf, countRows } from './groups';

const models: JanusModel[] = [];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.push(await fixtureModel('janus'), await fixtureModel('janus_tied'));
});
after(() => models.forEach((model) => model.dispose()));

describe('answers', () => {
  for (const [name, options] of Object.entries({
    greedy: { temperature: 0 },
    sampled: {},
    'tempered, top-k, top-p': { temperature: 0.8, topK: 20, topP: 0.9 },
  } satisfies Record<string, TextOptions>)) {
    test(`with the cache, in a batch of different lengths, are those without it: ${name}`, () => {
      for (const model of models) {
        const asked = questions(model);
        const got = model.sampleText(ask(asked), { ...options, maxNewTokens: 7 });
        const draws = rngs(3);
        asked.forEach((prompt, b) => {
          const [{ sampledIds, logProbs, actionMask }] = got[b].transitions;
          const ids: number[] = [];
          for (let step = 0; step < sampledIds.length; step++) {
            const logits = nextTextLogits(model, prompt, ids);
            const id = drawToken(logits, 0, logits.length, options, draws[b]);
            ids.push(id);
            const temperature = (options as TextOptions).temperature || 1;
            const logProb = logProbOf(logits, 0, logits.length, id, temperature);
            assert.ok(Math.abs(logProb - logProbs[step]) < 1e-4, `row ${b}, step ${step}`);
          }
          assert.deepEqual([...sampledIds], ids);
          assert.ok(actionMask.every((one) => one === 1));
          assert.equal(got[b].finished, ids[ids.length - 1] === model.config.tokens.eos);
          assert.ok(got[b].finished || ids.length === 7);
          const words = ids.filter((id) => id > 3).map((id) => `w${id}`);
          assert.equal(got[b].text, words.join(' '));
        });
      }
    });
  }

  test('a group shares its prompt, which is read once, and differs in its draws', () => {
    const [, model] = models;
    const [prompt] = questions(model);
    let group: number[][] = [];
    const rows = countRows(model, () => {
      group = idsOf(model.sampleText(ask([prompt, prompt, prompt, prompt]), { maxNewTokens: 6 }));
    });
    assert.deepEqual(rows.slice(0, 2), [1, 4]);
    const alone = rngs(4).map((rng) => model.sampleText([{ prompt: { ...prompt }, rng }], { maxNewTokens: 6 }));
    assert.deepEqual(group, alone.flatMap(idsOf));
    assert.ok(new Set(group.map((ids) => ids.join())).size > 1);
    assert.deepEqual(idsOf(model.sampleText(ask([prompt, prompt]), { maxNewTokens: 6 })), group.slice(0, 2));
    assert.notDeepEqual(idsOf(model.sampleText(ask([prompt, prompt], 8), { maxNewTokens: 6 })), group.slice(0, 2));
  });

  test('never say what means an image, also when nothing is as likely', () => {
    const [model] = models;
    const { network } = model;
    const silent = imageIds(model.config.tokens);
    const plain = network.textLogits.bind(network);
    network.textLogits = (hidden) =>
      tf.tidy(() => {
        const logits = plain(hidden);
        const loud = new Float32Array(logits.shape[1]);
        for (const id of silent) loud[id] = 1e4;
        return tf.add<tf.Tensor2D>(logits, tf.tensor1d(loud));
      });
    try {
      for (const options of [{ temperature: 0 }, {}, { temperature: 3, topK: 4 }, { temperature: 50 }]) {
        const said = model.sampleText(ask(questions(model)), { ...options, maxNewTokens: 12 });
        for (const ids of idsOf(said)) assert.ok(!ids.some((id) => silent.includes(id)), ids.join());
        const transitions = said.flatMap((segment) => segment.transitions);
        const values = tf.tidy(() => model.replay(transitions).arraySync());
        transitions.forEach(({ logProbs }, b) =>
          logProbs.forEach((logProb, i) => assert.ok(logProb < 1e-6 && Math.abs(values[b][i] - logProb) < 1e-4)),
        );
      }
    } finally {
      network.textLogits = plain;
    }
  });

  test('end where the positions end', () => {
    const [model] = models;
    const most = model.config.text.max_position_embeddings;
    const words = Array.from({ length: most - 4 }, (_, i) => `w${10 + (i % 50)}`).join(' ');
    const prompt = model.prompt([words], 'understand');
    const [said] = model.sampleText(ask([prompt]), { maxNewTokens: 50 });
    assert.ok(said.transitions[0].sampledIds.length <= 3);
    assert.throws(() => model.prompt([`${words} ${words}`], 'understand'), /this model has 256 positions: shorten it/);
  });

  test('bad calls are named', () => {
    const [model] = models;
    const [prompt] = questions(model);
    const refuse = (options: TextOptions, message: RegExp) =>
      assert.throws(
        () => model.sampleText(ask([prompt]), options),
        (error: Error) => error instanceof RangeError && message.test(error.message),
      );
    for (const temperature of [NaN, -1, Infinity]) refuse({ temperature }, /temperature is (NaN|-1|Infinity)/);
    for (const topK of [0, -3, 1.5, NaN]) refuse({ topK }, /topK is/);
    for (const topP of [0, -0.1, 1.1, NaN]) refuse({ topP }, /topP is/);
    for (const maxNewTokens of [0, -1, 1.5, NaN, Infinity]) refuse({ maxNewTokens }, /maxNewTokens is/);
    assert.deepEqual(model.sampleText([]), []);
    assert.throws(() => model.sampleText(ask(prompts(model))), /made to generate cannot be used to understand/);
    assert.throws(
      () => model.prompt([noiseImage(model, 1, 3)], 'understand'),
      /an image is 3 x 3; this model sees 32 x 32/,
    );
    assert.throws(
      () => model.sampleText(ask([{ ...prompt, ids: prompt.ids.slice(4) }])),
      /15 placeholders \(id 500\) stand in the rows, but there are 16 features/,
    );
    assert.throws(() => model.sampleText(ask([{ ...prompt, images: [], ids: [1, 512] }])), /token 512 at 1 of row 0/);
    assert.throws(() => model.prompt(['w3'], 'interleave'), /does not mix text and images/);
    assert.throws(() => model.prompt(['w3', noiseImage(model, 1)], 'generate'), /draws from text alone/);
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
        const got = model.imageSampler(ask(asked), options).finish();
        const draws = rngs(3);
        asked.forEach((prompt, b) => {
          const codes: number[] = [];
          while (codes.length < got[b].codes.length) {
            const logits = nextCodeLogits(model, prompt, codes, options.guidanceScale);
            codes.push(drawToken(logits, 0, logits.length, options, draws[b]));
          }
          assert.deepEqual([...got[b].codes], codes, `image ${b}`);
          assert.deepEqual(got[b].grid, [4, 4]);
        });
      }
    });
  }

  test('record the log-probs that are asked for: they differ under guidance, and are one without', () => {
    const [model] = models;
    const recorded = (options: ImageOptions) =>
      model.imageSampler(ask(prompts(model).slice(0, 1)), options).finish()[0].transitions[0].logProbs;
    const [guided, conditional] = (['guided', 'conditional'] as const).map((imageLogProbs) =>
      recorded({ imageLogProbs }),
    );
    assert.ok(guided.some((value, i) => Math.abs(value - conditional[i]) > 0.1));
    assert.deepEqual(recorded({}), conditional, 'the default');
    const plain = recorded({ guidanceScale: 1, imageLogProbs: 'guided' });
    assert.deepEqual(plain, recorded({ guidanceScale: 1, imageLogProbs: 'conditional' }));
    assert.throws(() => recorded({ guidanceScale: NaN }), /guidanceScale is NaN/);
    assert.throws(() => recorded({ imageLogProbs: 'both' as 'guided' }), /imageLogProbs is both, expected guided or/);
    for (const temperature of [NaN, -1, Infinity]) assert.throws(() => recorded({ temperature }), RangeError);
    assert.throws(() => recorded({ topK: 0 }), RangeError);
    assert.throws(() => model.imageSampler(ask(questions(model))), /made to understand cannot be used to generate/);
  });

  test('a group shares its prompt; a sampler can be stopped, and leaves nothing behind', () => {
    const [, model] = models;
    const [prompt] = prompts(model);
    const options = { guidanceScale: 1.5 };
    let group: number[][] = [];
    const rows = countRows(model, () => {
      group = codesOf(model.imageSampler(ask([prompt, prompt, prompt]), options).finish());
    });
    assert.deepEqual(rows.slice(0, 2), [2, 6], 'one prompt with and one without the condition are read');
    const alone = rngs(3).map((rng) => model.imageSampler([{ prompt: { ...prompt }, rng }], options).finish());
    assert.deepEqual(group, alone.flatMap(codesOf));
    assert.notDeepEqual(group[0], group[1]);
    const start = tf.memory().numTensors;
    const stopped = model.imageSampler(ask([prompt]), options);
    assert.deepEqual([stopped.steps, stopped.stepsDone, stopped.done], [16, 0, false]);
    stopped.step();
    stopped.step();
    assert.equal(stopped.stepsDone, 2);
    assert.ok(tf.memory().numTensors > start);
    stopped.dispose();
    assert.equal(tf.memory().numTensors, start);
    assert.throws(() => stopped.step(), /handed over to another sampler, or thrown away/);
  });

  test('are thinned out at any step, and go on as if alone', () => {
    for (const model of models) {
      for (const guidanceScale of [1, 4]) {
        const asked = [...prompts(model), prompts(model)[1]];
        const whole = codesOf(model.imageSampler(ask(asked), { guidanceScale }).finish());
        const alone = ask(asked).map((one) => model.imageSampler([one], { guidanceScale }).finish());
        assert.deepEqual(whole, alone.flatMap(codesOf));
        const before = tf.memory().numTensors;
        for (const steps of [0, 1, 7, 16]) {
          const first = model.imageSampler(ask(asked), { guidanceScale });
          for (let i = 0; i < steps; i++) first.step();
          const second = first.select([3, 0, 2]);
          assert.equal(second.stepsDone, steps);
          second.step();
          const third = second.select([1, 0]);
          const done = third.finish();
          assert.deepEqual(codesOf(done), [whole[0], whole[3]], `after ${steps} steps`);
          const ratios = tf.tidy(() => model.replay(done.map(({ transitions }) => transitions[0])).arraySync());
          done.forEach(({ transitions: [{ logProbs }] }, b) =>
            logProbs.forEach((logProb, i) => assert.ok(Math.abs(Math.exp(ratios[b][i] - logProb) - 1) < 1e-4)),
          );
          assert.equal(tf.memory().numTensors, before);
        }
      }
    }
    const [model] = models;
    const batch = model.imageSampler(ask(prompts(model)));
    assert.throws(() => batch.select([0, 3]), /select \[0,3\]: expected different ones of 3 images/);
    assert.throws(() => batch.select([1, 1]), RangeError);
    assert.deepEqual(batch.select([]).finish(), []);
  });
});
