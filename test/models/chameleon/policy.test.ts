import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AdamW, startEngine, Rng, tf } from '../../../src/engine';
import type { ChameleonModel } from '../../../src/models/chameleon/model';
import {
  type ChameleonPiece,
  ChameleonPolicy,
  replayPieces,
  sequencePieces,
} from '../../../src/models/chameleon/policy';
import { sampleSequences, type SequenceOptions } from '../../../src/models/chameleon/sampler';
import type { Policy } from '../../../src/rl/policy';
import { updatePolicy } from '../../../src/rl/update';
import { prompts, rngs, tinyModel } from './fixture';

let models: ChameleonModel[];

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  models = [tinyModel(), tinyModel({ layout: 'lumina' })];
});
after(() => models.forEach((model) => model.dispose()));

const FORCED = (row: number, index: number, inImage: boolean) => (index === row + 2 && !inImage ? 4 : undefined);

function pieces(model: ChameleonModel, options: SequenceOptions): ChameleonPiece[] {
  const sampled = sampleSequences(model, prompts, rngs(4), { maxNewTokens: 24, stop: [], ...options });
  return sampled.flatMap((sequence) => sequencePieces(model, sequence, options));
}

const bySegment = (list: ChameleonPiece[]) =>
  ['understanding', 'generation'].map((segment) => list.filter((piece) => piece.segment === segment));

/** Largest |ratio - 1| over decisions, all pieces of a segment replayed together. */
function worstRatio(model: ChameleonModel, list: ChameleonPiece[]): number {
  let worst = 0;
  for (const part of bySegment(list)) {
    if (part.length === 0) continue;
    const values = tf.tidy(() => replayPieces(model, part).arraySync());
    part.forEach((piece, b) => piece.ids.forEach((_, i) => {
      if (piece.mask[i]) worst = Math.max(worst, Math.abs(Math.exp(values[b][i] - piece.logProbs[i]) - 1));
      else assert.ok(values[b][i] === 0);
    })); // prettier-ignore
  }
  return worst;
}

test('replay with unchanged weights gives ratio 1 at every decision: text and images, guided and conditional', () => {
  for (const model of models)
    for (const options of [
      { guidanceScale: 4, forced: FORCED },
      { guidanceScale: 4, forced: FORCED, imageLogProbs: 'conditional', maxImages: 1 },
      { text: { temperature: 0.7 }, image: { temperature: 1.3, topK: 4 }, banned: [9, 10] },
      { text: { temperature: 0 }, image: { temperature: 0 }, guidanceScale: 2, forced: FORCED },
    ] satisfies SequenceOptions[]) {
      const list = pieces(model, options);
      const counts = bySegment(list).map((part) => part.length);
      assert.ok(counts[0] >= 3 && (!options.forced || counts[1] >= 3), `${counts}`);
      assert.ok(worstRatio(model, list) < 1e-4);
    }
});

test('shifted by one position the ratio is not 1, nor is it for the other half under guidance: the test above can fail', () => {
  const [model] = models;
  const list = pieces(model, { guidanceScale: 4, forced: FORCED });
  for (const part of bySegment(list)) {
    const turned = part.map((piece) => {
      // Within the decisions, so that each still stands where one was made.
      const at = Array.from(piece.ids.keys()).filter((i) => piece.mask[i]);
      const ids = piece.ids.slice();
      at.forEach((i, k) => (ids[i] = piece.ids[at[(k + 1) % at.length]]));
      return { ...piece, ids };
    });
    assert.ok(worstRatio(model, turned) > 0.1);
  }
  const other = list.map((piece) => (piece.segment === 'generation' ? { ...piece, imageLogProbs: 'conditional' as const } : piece)); // prettier-ignore
  assert.ok(worstRatio(model, other) > 0.1);
});

test('pieces follow each other and hold the whole sequence', () => {
  const [model] = models;
  const options = { guidanceScale: 2, forced: FORCED, maxNewTokens: 30, stop: [] };
  for (const sequence of sampleSequences(model, prompts, rngs(6), options)) {
    const list = sequencePieces(model, sequence, options);
    assert.deepEqual(list.flatMap((piece) => [...piece.ids]), [...sequence.ids]); // prettier-ignore
    let length = sequence.prompt.length;
    for (const piece of list) {
      assert.equal(piece.prefix.length, length);
      length += piece.ids.length;
      if (piece.segment === 'generation') assert.equal(piece.prefix[piece.begin], model.vocabulary.boi);
    }
    list.slice(1).forEach((piece, i) => assert.ok(piece.segment !== list[i].segment));
  }
});

test('replay is of one segment and one guidance at a time', () => {
  const [model] = models;
  const [text, images] = bySegment(pieces(model, { guidanceScale: 4, forced: FORCED }));
  assert.throws(() => replayPieces(model, [text[0], images[0]]), /one segment at a time/);
  assert.throws(() => replayPieces(model, []), /one piece at least/);
  assert.throws(
    () => replayPieces(model, [images[0], { ...images[1], guidanceScale: 1 } as ChameleonPiece]),
    /one guidance scale/,
  );
});

test('a policy update raises what was rewarded, reaches every parameter, and leaks nothing', () => {
  const model = tinyModel({}, 8);
  const reference = model.parameters.clone();
  const options: SequenceOptions = { guidanceScale: 3, maxNewTokens: 6, forced: (_row, index, inImage) => (index === 2 && !inImage ? 4 : undefined) }; // prettier-ignore
  const policy = new ChameleonPolicy(model, options, reference);
  const contract: Policy = policy;
  const group = policy.rollout([0, 33, 35], 4, new Rng(2));
  assert.equal(group.length, 4);
  assert.notDeepEqual(group[0].sequence.ids, group[1].sequence.ids);
  const optimizer = new AdamW({ learningRate: 2e-3 });
  const score = (k: number) =>
    bySegment([...group[k].pieces]).reduce(
      (sum, part) => sum + (part.length ? tf.tidy(() => replayPieces(model, part).sum().dataSync()[0]) : 0),
      0,
    );
  const before = group.map((_, k) => score(k));
  const update = () =>
    updatePolicy(contract, group, [1, -1, 1, -1], optimizer, {
      alpha: { understanding: 0.5, generation: 0.5 },
      aggregation: 'segment_mean',
      beta: 0.01,
      learningRate: 2e-3,
    });
  const first = update();
  assert.ok(first['sampling/logprob_difference_max'] < 1e-4, `${first['sampling/logprob_difference_max']}`);
  assert.ok(first.kl < 1e-6 && first.grad_norm > 0);
  const tensors = tf.memory().numTensors;
  for (let i = 0; i < 4; i++) update();
  assert.equal(tf.memory().numTensors, tensors);
  const after = group.map((_, k) => score(k));
  const gain = after.map((value, k) => value - before[k]);
  assert.ok(gain[0] + gain[2] > gain[1] + gain[3], `${gain}`);
  const moved = Object.entries(model.parameters.variables).map(([name, v]) => [name, tf.tidy(() => tf.max(tf.abs(tf.sub(v, reference.get(name)))).dataSync()[0])] as const); // prettier-ignore
  assert.deepEqual(moved.filter(([, by]) => by === 0).map(([name]) => name), []); // prettier-ignore
  assert.throws(() => new ChameleonPolicy(model).replay(group[0].pieces, 'reference'), /has no reference/);
  optimizer.dispose();
  reference.dispose();
  model.dispose();
});
