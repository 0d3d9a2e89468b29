import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEngine, tf } from '../../../src/engine';
import type { ChameleonModel } from '../../../src/models/chameleon/model';
import type { ChameleonTransition, ImageTransition } from '../../../src/models/chameleon/policy';
import type { ChameleonSequenceOptions } from '../../../src/models/chameleon/sequence-batch';
import { drawing, prompts, requests, tinyModel, texts } from './fixture';

let models: ChameleonModel[];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models = [tinyModel(), tinyModel({ layout: 'lumina' })];
});
after(() => models.forEach((model) => model.dispose()));

const FORCED = (row: number, index: number) => (index === row + 2 ? 4 : undefined);

/** Transitions of interleaved sequences. */
function interleaved(model: ChameleonModel, options: ChameleonSequenceOptions): ChameleonTransition[] {
  const all = { stop: [], ...options, text: { maxNewTokens: 7, ...options.text } };
  return model
    .sampleSequences(requests(4), all)
    .flatMap(({ segments }) => segments.flatMap(({ transitions }) => transitions));
}

const bySegment = (list: readonly ChameleonTransition[]) =>
  (['understanding', 'generation'] as const).map((name) => list.filter(({ segment }) => segment === name));

/** Largest |ratio - 1| over decisions, all transitions of a segment replayed together. */
function worstRatio(model: ChameleonModel, list: readonly ChameleonTransition[]): number {
  let worst = 0;
  for (const part of bySegment(list)) {
    if (part.length === 0) continue;
    const values = tf.tidy(() => model.replay(part).arraySync());
    const longest = Math.max(...part.map(({ sampledIds }) => sampledIds.length));
    part.forEach(({ actionMask, logProbs }, b) => {
      assert.equal(values[b].length, longest);
      values[b].forEach((value, i) => {
        if (actionMask[i]) worst = Math.max(worst, Math.abs(Math.exp(value - logProbs[i]) - 1));
        else assert.equal(Math.abs(value), 0, 'forced tokens and places behind the end are 0');
      });
    });
  }
  return worst;
}

describe('replay with unchanged weights gives ratio 1 at every decision', () => {
  const image = { guidanceScale: 4 } as const;
  const cases: Readonly<Record<string, ChameleonSequenceOptions>> = {
    guided: { image, forced: FORCED },
    'conditional log-probs under guidance': { image: { ...image, imageLogProbs: 'conditional' }, forced: FORCED },
    'one image at most': { image, forced: FORCED, maxImages: 1 },
    'other temperatures, top-k and top-p': {
      text: { temperature: 0.7, topK: 9 },
      image: { temperature: 1.3, topK: 4, topP: 0.9, guidanceScale: 2 },
      forced: FORCED,
    },
    greedy: { text: { temperature: 0 }, image: { temperature: 0, guidanceScale: 2 }, forced: FORCED },
  };
  for (const [name, options] of Object.entries(cases))
    test(name, () => {
      for (const model of models) {
        const list = interleaved(model, options);
        const [text, images] = bySegment(list).map((part) => part.length);
        assert.ok(text >= 3 && images >= 3, `${text} and ${images}`);
        assert.ok(worstRatio(model, list) < 1e-4);
      }
    });

  test('text alone, and images drawn step by step', () => {
    for (const model of models) {
      const answers = model.sampleText(requests(8, texts), { maxNewTokens: 9, temperature: 0.8, topK: 10 });
      assert.ok(
        worstRatio(
          model,
          answers.flatMap(({ transitions }) => transitions),
        ) < 1e-4,
      );
      for (const imageLogProbs of ['guided', 'conditional'] as const) {
        const asked = requests(3, [drawing(25, 30), drawing(40)]);
        const images = model.imageSampler(asked, { guidanceScale: 3, temperature: 0.6, imageLogProbs }).finish();
        assert.ok(
          worstRatio(
            model,
            images.flatMap(({ transitions }) => transitions),
          ) < 1e-4,
        );
      }
    }
  });
});

test('shifted targets, a wrong image, another temperature or kind of log-probs break it: the tests above can fail', () => {
  for (const model of models) {
    const list = interleaved(model, { image: { guidanceScale: 4 }, forced: FORCED });
    const shifted = list.map((transition) => {
      // Within the decisions, so that each still stands where one was made.
      const at = Array.from(transition.actionMask.keys()).filter((i) => transition.actionMask[i]);
      const sampledIds = transition.sampledIds.slice();
      at.forEach((i, k) => (sampledIds[i] = transition.sampledIds[at[(k + 1) % at.length]]));
      return { ...transition, sampledIds };
    });
    for (const part of bySegment(shifted)) assert.ok(worstRatio(model, part) > 0.1);
    const { codeOfId, imageIds } = model.network.vocabulary;
    const [, images] = bySegment(list);
    const wrong = list.map((transition) => ({
      ...transition,
      sequence: transition.sequence.map((id) => (codeOfId[id] >= 0 ? imageIds[(id - imageIds[0] + 3) % 11] : id)),
    }));
    for (const part of bySegment(wrong)) assert.ok(worstRatio(model, part) > 0.01);
    const colder = list.map((transition) => ({ ...transition, temperature: 0.8 }));
    for (const part of bySegment(colder)) assert.ok(worstRatio(model, part) > 0.05);
    const half = images.map((t) => ({ ...(t as ImageTransition), imageLogProbs: 'conditional' as const }));
    assert.ok(worstRatio(model, half) > 0.1);
  }
});

test('segments follow each other and hold the whole sequence; text and codes are told', () => {
  const [model] = models;
  const { vocabulary: v } = model.network;
  const options = { image: { guidanceScale: 2 }, forced: FORCED, text: { maxNewTokens: 9 } };
  model.sampleSequences(requests(6), options).forEach(({ segments }, k) => {
    let at = prompts[k].ids.length;
    segments.forEach((segment, i) => {
      const [{ from, sampledIds, sequence }] = segment.transitions;
      assert.equal(from, at);
      at += sampledIds.length;
      assert.deepEqual([...sampledIds], sequence.slice(from, at));
      if (i > 0) assert.notEqual(segment.name, segments[i - 1].name);
      const last = sampledIds[sampledIds.length - 1];
      if (segment.name === 'generation') {
        assert.equal(sequence[(segment.transitions[0] as ImageTransition).begin], v.boi);
        assert.deepEqual(
          Array.from(segment.codes, (code) => v.idOfCode[code]),
          [...sampledIds].filter((id) => v.codeOfId[id] >= 0),
        );
        assert.deepEqual([segment.grid, last], [[4, 4], v.eoi]);
      } else {
        const words = [...sampledIds].filter((id) => ![0, 1, 2, 4, 7].includes(id));
        assert.equal(segment.text, words.map((id) => `w${id}`).join(' '));
        assert.equal(segment.finished, last === v.boi || last === v.eos);
      }
    });
  });
});

test('transitions of one sequence are computed in one row, and give what they give alone', () => {
  const [model] = models;
  const { network } = model;
  const list = interleaved(model, { image: { guidanceScale: 4, imageLogProbs: 'conditional' }, forced: FORCED });
  const own = list.filter(({ segment, sequence }) => segment === 'understanding' && sequence === list[0].sequence);
  assert.ok(own.length >= 2, `${own.length}`);
  const rows: number[] = [];
  const hidden = network.hiddenShared.bind(network);
  network.hiddenShared = (inputs) => (rows.push(inputs.owner.size), hidden(inputs));
  const together = tf.tidy(() => model.replay(own).arraySync());
  delete (network as { hiddenShared?: unknown }).hiddenShared;
  assert.deepEqual(rows, [1]);
  own.forEach((transition, k) => {
    const [alone] = tf.tidy(() => model.replay([transition]).arraySync());
    alone.forEach((value, i) => assert.ok(Math.abs(value - together[k][i]) < 1e-4));
  });
});

test('what cannot share a batch is said', () => {
  const [model] = models;
  const [text, images] = bySegment(interleaved(model, { image: { guidanceScale: 4 }, forced: FORCED }));
  assert.throws(() => model.replay([]), /one transition at least/);
  assert.throws(() => model.replay([text[0], images[0]]), /segment understanding and generation/);
  const other = (change: object) => ({ ...images[1], ...change });
  assert.throws(() => model.replay([images[0], other({ guidanceScale: 1 })]), /guidanceScale 4 and 1 cannot/);
  assert.throws(() => model.replay([images[0], other({ temperature: 2 })]), /temperature 1 and 2/);
  assert.throws(() => model.replay([images[0], other({ imageLogProbs: 'conditional' })]), /imageLogProbs guided and/);
  const wrong = { ...images[0], sampledIds: images[0].sampledIds.map(() => 30) };
  assert.throws(() => model.replay([wrong]), /token 30 cannot stand in a segment of generation/);
  assert.ok(model.replay([images[0]]) instanceof tf.Tensor);
});

test('a step along the gradient raises what was rewarded, reaches every weight, and leaves no tensors', () => {
  const model = tinyModel({}, 8);
  const reference = model.frozenCopy();
  assert.deepEqual(reference.variables(), {});
  const list = interleaved(model, { image: { guidanceScale: 3 }, forced: FORCED });
  const value = (of: ChameleonModel) =>
    bySegment(list).reduce((sum, part) => sum + tf.tidy(() => of.replay(part).sum().dataSync()[0]), 0);
  const start = tf.memory().numTensors;
  const before = value(model);
  const variables = model.variables();
  const { value: loss, grads } = tf.variableGrads(
    () => tf.addN(bySegment(list).map((part) => tf.sum(model.replay(part)))) as tf.Scalar,
    Object.values(variables),
  );
  tf.dispose(loss);
  for (const [name, variable] of Object.entries(variables)) {
    const grad = grads[variable.name];
    assert.ok(tf.tidy(() => tf.max(tf.abs(grad)).dataSync()[0]) > 0, name);
    tf.tidy(() => variable.assign(tf.add(variable, tf.mul(grad, 1e-5))));
    grad.dispose();
  }
  assert.ok(value(model) > before, `${before} -> ${value(model)}`);
  assert.ok(Math.abs(value(reference) - before) < 1e-3, 'the reference stands still');
  assert.equal(tf.memory().numTensors, start);
  model.dispose();
  reference.dispose();
});
