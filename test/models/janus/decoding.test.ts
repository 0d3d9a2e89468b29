import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  releaseTraced,
  startEngine,
  type Rng,
  tf,
  traceReports,
  tracingWorks,
  withoutTracing,
} from '../../../src/engine';
import type { JanusModel } from '../../../src/models/janus/model';
import { JanusImageSampler } from '../../../src/models/janus/sampler';
import { ask, fixtureModel, prompts, questions } from './fixture';
import { group, idsOf, codesOf } from './groups';

const models: JanusModel[] = [];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.push(await fixtureModel('janus'), await fixtureModel('janus_tied'));
});
after(() => models.forEach((model) => model.dispose()));

describe('decoding', () => {
  test('codes are the same drawn where the logits are, and by plain numbers that are read', () => {
    for (const model of models)
      for (const imageLogProbs of ['guided', 'conditional'] as const) {
        const options = { guidanceScale: 3, temperature: 0.7, imageLogProbs };
        const drawn = [undefined, () => undefined].map((observe) =>
          JanusImageSampler.start(model.network, ask(prompts(model)), options, observe).finish(),
        );
        const [own, plain] = drawn.map((images) => images.flatMap(({ codes }) => Array.from(codes)));
        assert.deepEqual(own, plain);
        const [ours, theirs] = drawn.map((images) =>
          images.flatMap(({ transitions: [one] }) => Array.from(one.logProbs)),
        );
        ours.forEach((value, i) => assert.ok(Math.abs(value - theirs[i]) < 1e-4, `${value} is not ${theirs[i]}`));
      }
  });

  test('holds as many tensors at every step, and none at the end or when something throws', () => {
    const [, model] = models;
    const { network } = model;
    const start = tf.memory().numTensors;
    const counts: number[] = [];
    const counting = ask(questions(model)).map(({ prompt, rng }) => {
      const uniform = () => (counts.push(tf.memory().numTensors), rng.uniform());
      return { prompt, rng: { uniform } as unknown as Rng };
    });
    const plain = network.spokenLogits.bind(network);
    let passes = 0;
    let failAt = Infinity;
    network.spokenLogits = (hidden) => {
      if (++passes > failAt) throw new Error('the engine fell over');
      // No row ends before the others.
      return tf.tidy(() => {
        const logits = plain(hidden);
        const end = tf.oneHot(tf.tensor1d([model.config.tokens.eos], 'int32'), logits.shape[1]);
        return tf.sub<tf.Tensor2D>(logits, tf.mul(end, 1e6));
      });
    };
    try {
      model.sampleText(counting, { maxNewTokens: 50 });
      assert.equal(counts.length, 3 * 50);
      assert.equal(new Set(counts).size, 1, counts.join());
      assert.equal(tf.memory().numTensors, start);
      for (failAt of [0, 1, 2]) {
        passes = 0;
        assert.throws(() => model.sampleText(ask(questions(model)), { maxNewTokens: 9 }), /the engine fell over/);
        assert.equal(tf.memory().numTensors, start);
      }
    } finally {
      network.spokenLogits = plain;
    }
    counts.length = 0;
    const observe = () => void counts.push(tf.memory().numTensors);
    for (let i = 0; i < 4; i++) JanusImageSampler.start(network, ask(prompts(model)), {}, observe).finish();
    assert.equal(new Set(counts).size, 1, counts.join());
    const fail = (): never => {
      throw new Error('the engine fell over');
    };
    assert.throws(() => JanusImageSampler.start(network, ask(prompts(model)), {}, fail).finish(), /fell over/);
    assert.equal(tf.memory().numTensors, start);
  });

  test('traced, they have the numbers of single operations to the bit; few programs are compiled', async () => {
    for (const { network } of models) releaseTraced(network);
    const model = await fixtureModel('janus');
    const images = () => {
      const sampler = model.imageSampler(ask(group(prompts(model)[0], 6)), { guidanceScale: 4 });
      for (let step = 0; step < 4; step++) sampler.step();
      return sampler.select([5, 1, 2]).finish();
    };
    const answers = () =>
      model.sampleText(ask([...questions(model), ...group(questions(model)[0], 3)]), { maxNewTokens: 9 });
    const bits = (segments: readonly { transitions: readonly { logProbs: Float32Array }[] }[]) =>
      segments.map(({ transitions }) => [...transitions[0].logProbs]);
    const plain = await withoutTracing(() => ({ images: images(), answers: answers() }));
    const programs = () => traceReports().filter(({ name }) => ['code by code', 'word by word'].includes(name));
    for (let round = 0; round < 3; round++) {
      const [drawn, said] = [images(), answers()];
      assert.deepEqual(bits(drawn), bits(plain.images));
      assert.deepEqual(codesOf(drawn), codesOf(plain.images));
      assert.deepEqual(bits(said), bits(plain.answers));
      assert.deepEqual(idsOf(said), idsOf(plain.answers));
    }
    if (tracingWorks())
      for (const { name, programs: all, eager, calls } of programs())
        assert.ok(all.length <= 3 && eager === all.length && calls > 3 * eager, `${name}: ${eager} of ${calls}`);
    const handles = () =>
      (tf.backend() as unknown as { binding: { getNumOfTensors(): number } }).binding.getNumOfTensors();
    if (tracingWorks()) {
      const before = handles();
      answers();
      images();
      assert.equal(handles(), before);
    }
    model.dispose();
    assert.deepEqual(programs(), []);
  });
});
