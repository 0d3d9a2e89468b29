import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import type { JanusModel } from '../../../src/models/janus/model';
import { type ImageLogProbs, JanusPolicy, type JanusTrajectory, replayPieces } from '../../../src/models/janus/policy';
import type { Policy } from '../../../src/rl/policy';
import { fixtureModel, prefixes, prompts } from './fixture';

const models: JanusModel[] = [];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models.push(await fixtureModel('janus'), await fixtureModel('janus_tied'));
});
after(() => models.forEach((model) => model.dispose()));

type JanusPiece = JanusTrajectory['pieces'][number];

/** Largest |ratio - 1| over scored positions. */
function worstRatio(model: JanusModel, pieces: readonly JanusPiece[]): number {
  const values = tf.tidy(() => replayPieces(model, pieces).arraySync());
  let worst = 0;
  pieces.forEach((piece, b) => piece.ids.forEach((_, i) => {
    if (piece.mask[i]) worst = Math.max(worst, Math.abs(Math.exp(values[b][i] - piece.logProbs[i]) - 1));
  })); // prettier-ignore
  return worst;
}

const shifted = <P extends JanusPiece>(piece: P): P => ({
  ...piece,
  ids: Int32Array.from(piece.ids, (_, i) => piece.ids[(i + 1) % piece.ids.length]),
});

/** Answers of different lengths to prefixes of different lengths, in one list. */
function answers(model: JanusModel, temperature = 1): JanusPiece[] {
  const policy = new JanusPolicy(model);
  return prefixes(model).flatMap((prefix, i) => {
    const options = { maxNewTokens: 3 + 2 * i, temperature, topK: 30 };
    const request = { segment: 'understanding', prefix, options } as const;
    return policy.rollout(request, 2, new Rng(3).split(i)).flatMap(({ pieces }) => pieces);
  });
}

function images(model: JanusModel, guidanceScale: number, scored: ImageLogProbs, temperature = 1): JanusPiece[] {
  const policy = new JanusPolicy(model);
  return prompts(model).flatMap((prompt, i) => {
    const request = { segment: 'generation', prompt, options: { guidanceScale, temperature }, scored } as const;
    return policy.rollout(request, 2, new Rng(5).split(i)).flatMap(({ pieces }) => pieces);
  });
}

describe('replay', () => {
  test('with unchanged weights gives ratio 1 at every position: answers', () => {
    for (const model of models) {
      for (const temperature of [1, 0.6]) assert.ok(worstRatio(model, answers(model, temperature)) < 1e-4);
      assert.ok(worstRatio(model, answers(model).map(shifted)) > 0.1, 'the test above can fail');
    }
  });

  test('with unchanged weights gives ratio 1 at every position: images, guided and conditional', () => {
    for (const model of models) {
      for (const [scale, scored, temperature] of [
        [5, 'conditional', 1],
        [5, 'guided', 1],
        [1, 'conditional', 0.8],
        [3, 'guided', 0.8],
      ] as const) {
        const pieces = images(model, scale, scored, temperature);
        assert.ok(worstRatio(model, pieces) < 1e-4, `${scored}, scale ${scale}`);
        assert.ok(worstRatio(model, pieces.map(shifted)) > 0.1);
      }
      const wrong = images(model, 5, 'guided').map((piece) => ({ ...piece, scored: 'conditional' }) as JanusPiece);
      assert.ok(worstRatio(model, wrong) > 0.1, 'the conditional half is not what was sampled under guidance');
    }
  });

  test('answers of different length are zero behind their ends; different kinds do not mix', () => {
    const [model] = models;
    const pieces = answers(model);
    const values = tf.tidy(() => replayPieces(model, pieces).arraySync());
    const longest = Math.max(...pieces.map((piece) => piece.ids.length));
    pieces.forEach((piece, b) => {
      assert.equal(values[b].length, longest);
      assert.ok(values[b].slice(piece.ids.length).every((value) => value === 0));
    });
    assert.throws(() => replayPieces(model, [pieces[0], images(model, 5, 'guided')[0]]), /one segment at a time/);
    assert.throws(() => replayPieces(model, [pieces[0], answers(model, 0.5)[0]]), /one temperature at a time/);
    assert.throws(
      () => replayPieces(model, [images(model, 5, 'guided')[0], images(model, 3, 'guided')[0]]),
      /one guidance scale/,
    );
  });
});

describe('policy', () => {
  test('keeps the contract: what learns gets a gradient, the reference stays, nothing leaks', () => {
    const [, model] = models;
    const start = tf.memory().numTensors;
    const onlyLanguage = (name: string) => name.startsWith('model.language_model');
    const own = new JanusPolicy(model, model.parameters.clone(), onlyLanguage);
    const policy: Policy = own;
    const held = tf.memory().numTensors;
    const variables = policy.variables();
    assert.ok(Object.keys(variables).length > 0 && Object.keys(variables).every(onlyLanguage));
    for (const pieces of [answers(model), images(model, 5, 'guided')]) {
      const before = readValues(() => policy.replay(pieces, 'reference'));
      const { value, grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(policy.replay(pieces, 'policy')), Object.values(variables)); // prettier-ignore
      for (const [name, variable] of Object.entries(variables)) {
        const size = readValues(() => tf.sum(tf.abs(grads[variable.name])))[0];
        assert.ok(Number.isFinite(size) && size > 0, name);
      }
      // One step up the gradient: the policy's own log-probs rise, the reference's stay.
      const saved = Object.values(variables).map((variable) => variable.clone());
      tf.tidy(() => Object.values(variables).forEach((v) => v.assign(tf.add(v, tf.mul(grads[v.name], 1e-5)))));
      const raised = readValues(() => tf.sum(policy.replay(pieces, 'policy')))[0];
      assert.ok(raised > value.dataSync()[0]);
      assert.deepEqual(
        readValues(() => policy.replay(pieces, 'reference')),
        before,
      );
      Object.values(variables).forEach((variable, i) => variable.assign(saved[i]));
      tf.dispose([value, grads, saved] as tf.TensorContainer);
      assert.equal(tf.memory().numTensors, held);
    }
    own.dispose();
    assert.equal(tf.memory().numTensors, start);
    assert.throws(() => new JanusPolicy(model).replay(answers(model), 'reference'), /made without a reference/);
  });
});
