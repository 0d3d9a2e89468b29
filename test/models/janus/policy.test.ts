import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readValues, startEngine, tf } from '../../../src/engine';
import type { JanusModel } from '../../../src/models/janus/model';
import type { ImageLogProbs, ImageTransition, JanusTransition } from '../../../src/models/janus/policy';
import type { Policy, TextOptions } from '../../../src/models/unified';
import { ask, fixtureModel, noiseImage, prompts, questions } from './fixture';

const models: JanusModel[] = [];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.push(await fixtureModel('janus'), await fixtureModel('janus_tied'));
});
after(() => models.forEach((model) => model.dispose()));

/** Largest |ratio - 1| over what was decided. */
function worstRatio(policy: Policy<JanusTransition>, transitions: readonly JanusTransition[]): number {
  const values = tf.tidy(() => policy.replay(transitions).arraySync());
  const ratios = transitions.flatMap(({ logProbs }, b) =>
    Array.from(logProbs, (logProb, i) => Math.exp(values[b][i] - logProb)),
  );
  return Math.max(...ratios.map((ratio) => Math.abs(ratio - 1)));
}

const shifted = <T extends JanusTransition>(transition: T): T => ({
  ...transition,
  sampledIds: transition.sampledIds.map((_, i, ids) => ids[(i + 1) % ids.length]),
});

/** Answers of different lengths to prompts of different lengths, in one list. */
function answers(model: JanusModel, options: TextOptions = {}): JanusTransition[] {
  return questions(model).flatMap((prompt, i) => {
    const segments = model.sampleText(ask([prompt, prompt], i), { topK: 30, ...options, maxNewTokens: 3 + 2 * i });
    return segments.flatMap(({ transitions }) => transitions);
  });
}

function images(
  model: JanusModel,
  guidanceScale: number,
  imageLogProbs: ImageLogProbs,
  temperature = 1,
  topK?: number,
) {
  return prompts(model).flatMap((prompt, i) => {
    const options = { guidanceScale, imageLogProbs, temperature, topK };
    const segments = model.imageSampler(ask([prompt, prompt], i), options).finish();
    return segments.flatMap(({ transitions }) => transitions as ImageTransition[]);
  });
}

describe('replay', () => {
  test('with unchanged weights gives ratio 1 at every position: answers', () => {
    for (const model of models) {
      for (const options of [{}, { temperature: 0.6 }, { temperature: 1.7, topK: 5, topP: 0.8 }, { temperature: 0 }]) {
        const said = answers(model, options);
        assert.ok(worstRatio(model, said) < 1e-4, JSON.stringify(options));
      }
      assert.ok(worstRatio(model, answers(model).map(shifted)) > 0.1, 'shifted targets');
      const warmer = answers(model, { temperature: 0.6 }).map((said) => ({ ...said, temperature: 0.9 }));
      assert.ok(worstRatio(model, warmer) > 0.01, 'a wrong temperature');
      const other = answers(model).map((said) => {
        if (said.segment !== 'understanding') return said;
        return { ...said, prompt: { ...said.prompt, images: said.prompt.images.map(() => noiseImage(model, 99)) } };
      });
      assert.ok(worstRatio(model, other) > 0.01, 'a wrong image');
    }
  });

  test('with unchanged weights gives ratio 1 at every position: images, guided and conditional', () => {
    for (const model of models) {
      for (const [scale, kind, temperature, topK] of [
        [5, 'conditional', 1],
        [5, 'guided', 1],
        [1, 'conditional', 0.8],
        [1, 'guided', 1.3, 9],
        [3, 'guided', 0.8, 5],
        [3, 'conditional', 0.8, 5],
      ] as const) {
        const drawn = images(model, scale, kind, temperature, topK);
        assert.ok(worstRatio(model, drawn) < 1e-4, `${kind}, scale ${scale}`);
        assert.ok(worstRatio(model, drawn.map(shifted)) > 0.1, 'shifted targets');
      }
      const drawn = images(model, 5, 'guided');
      const wrong = (change: Partial<ImageTransition>) => drawn.map((image) => ({ ...image, ...change }));
      assert.ok(worstRatio(model, wrong({ imageLogProbs: 'conditional' })) > 0.1, 'the half of what was sampled');
      assert.ok(worstRatio(model, wrong({ guidanceScale: 3 })) > 0.1, 'a wrong guidance');
      assert.ok(worstRatio(model, wrong({ temperature: 0.7 })) > 0.1, 'a wrong temperature');
      assert.ok(worstRatio(model, wrong({ prompt: drawn[2].prompt })) > 0.01, 'a wrong prompt');
    }
  });

  test('a row is 0 behind its end and where nothing was decided; a row does not depend on its neighbors', () => {
    const [model] = models;
    const said = answers(model);
    const values = tf.tidy(() => model.replay(said).arraySync());
    const longest = Math.max(...said.map(({ sampledIds }) => sampledIds.length));
    said.forEach(({ sampledIds }, b) => {
      assert.equal(values[b].length, longest);
      assert.ok(values[b].slice(sampledIds.length).every((value) => value === 0));
    });
    const [alone] = tf.tidy(() => model.replay([said[0]]).arraySync());
    alone.forEach((value, i) => assert.ok(Math.abs(value - values[0][i]) < 1e-5));
    const forced = { ...said[0], actionMask: said[0].actionMask.map((one, i) => (i === 1 ? 0 : one)) };
    const [masked] = tf.tidy(() => model.replay([forced]).arraySync());
    assert.deepEqual(
      masked.map((value) => value === 0),
      alone.map((_, i) => i === 1),
    );
  });

  test('what cannot share a batch is a RangeError', () => {
    const [model] = models;
    const refuse = (a: JanusTransition, b: JanusTransition, message: RegExp) =>
      assert.throws(
        () => model.replay([a, b]),
        (error: Error) => error instanceof RangeError && message.test(error.message),
      );
    const [guided] = images(model, 5, 'guided');
    refuse(answers(model)[0], guided, /one segment at a time, got understanding and generation/);
    refuse(answers(model)[0], answers(model, { temperature: 0.5 })[0], /one temperature at a time, got 1 and 0.5/);
    refuse(guided, images(model, 3, 'guided')[0], /one guidanceScale at a time, got 5 and 3/);
    refuse(guided, images(model, 5, 'conditional')[0], /one imageLogProbs at a time/);
    assert.throws(() => model.replay([]), RangeError);
  });
});

describe('policy', () => {
  test('what learns gets a gradient, a frozen copy stays, nothing is left', () => {
    const [, model] = models;
    const start = tf.memory().numTensors;
    const reference = model.frozenCopy();
    assert.deepEqual(reference.variables(), {});
    const held = tf.memory().numTensors;
    const variables = model.variables();
    assert.ok(Object.keys(variables).every((name) => !name.startsWith('model.vqmodel.')));
    const language = Object.entries(variables).filter(([name]) => name.startsWith('model.language_model.'));
    assert.ok(language.length > 10);
    for (const decided of [answers(model), images(model, 5, 'guided')]) {
      const before = readValues(() => reference.replay(decided));
      assert.deepEqual(
        readValues(() => model.replay(decided)),
        before,
      );
      const list = language.map(([, variable]) => variable);
      const { value, grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(model.replay(decided)), list);
      for (const [name, variable] of language) {
        const size = readValues(() => tf.sum(tf.abs(grads[variable.name])))[0];
        assert.ok(Number.isFinite(size) && size > 0, name);
      }
      // One step up the gradient: the policy's own log-probs rise, the reference's stay.
      const saved = list.map((variable) => variable.clone());
      tf.tidy(() => list.forEach((v) => v.assign(tf.add(v, tf.mul(grads[v.name], 1e-5)))));
      assert.ok(readValues(() => tf.sum(model.replay(decided)))[0] > value.dataSync()[0]);
      assert.deepEqual(
        readValues(() => reference.replay(decided)),
        before,
      );
      list.forEach((variable, i) => variable.assign(saved[i]));
      tf.dispose([value, grads, saved] as tf.TensorContainer);
      assert.equal(tf.memory().numTensors, held);
    }
    reference.dispose();
    assert.equal(tf.memory().numTensors, start);
  });

  test('a frozen copy in bfloat16 replays to its rounding, and is half as large', () => {
    const [model] = models;
    const reference = model.frozenCopy('BF16');
    assert.deepEqual(reference.variables(), {});
    const said = answers(model);
    const worst = worstRatio(reference, said);
    assert.ok(worst > 0 && worst < 0.2, String(worst));
    reference.dispose();
  });

  test('leaves no tensors when it throws', () => {
    const [model] = models;
    const [said] = answers(model);
    const before = tf.memory().numTensors;
    const broken = { ...said, sampledIds: Int32Array.from([3, 4000, 5]) };
    assert.throws(() => model.replay([broken]), /token 4000/);
    assert.throws(() => model.replay([{ ...said, sampledIds: Int32Array.from([500, 3]) }]), /placeholders/);
    assert.equal(tf.memory().numTensors, before);
  });
});
