import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { sampleAnswers } from '../../../src/models/showo/answers';
import { textPrefix, understandingPrefix } from '../../../src/models/showo/layout';
import {
  answerPiece,
  type AnswerPiece,
  type ImageLogProbs,
  replayPieces,
  transitionPieces,
  type TransitionPiece,
} from '../../../src/models/showo/policy';
import { ImageBatch } from '../../../src/models/showo/sampler';
import { showoFixture } from './fixture';

let model: Awaited<ReturnType<typeof showoFixture>>['model'];

before(async () => {
  await startEngine({ precision: 'float32' });
  ({ model } = await showoFixture());
});

function images(guidanceScale: number): TransitionPiece[] {
  const conditions = [
    [66, 134, 114],
    [5, 7],
    [9, 9, 9, 9, 12],
  ];
  const rngs = conditions.map((_, i) => new Rng(7).split(i));
  const batch = new ImageBatch(model, conditions, rngs, { steps: 4, guidanceScale });
  batch.finish();
  return conditions.flatMap((_, i) => transitionPieces(batch, i, 'all'));
}

function answers(): AnswerPiece[] {
  const codes = Array.from({ length: model.config.num_vq_tokens }, (_, i) => (i * 5) % model.config.codebook_size);
  const prefixes = [
    { ids: understandingPrefix(model.config, codes, [3, 1, 4]), image: true },
    { ids: textPrefix(model.config, [1, 5, 9, 2, 6, 5]), image: false },
  ];
  const sampled = sampleAnswers(model, prefixes, prefixes.map((_, i) => new Rng(8).split(i)), { maxNewTokens: 6 }); // prettier-ignore
  return sampled.map((answer, i) => answerPiece(prefixes[i], answer));
}

/** Largest |ratio - 1| over scored positions. */
function worstRatio(pieces: readonly (AnswerPiece | TransitionPiece)[], which: ImageLogProbs = 'guided'): number {
  const values = tf.tidy(() => replayPieces(model, pieces, model, which).arraySync());
  let worst = 0;
  pieces.forEach((piece, b) => piece.ids.forEach((_, i) => {
    if (piece.mask[i]) worst = Math.max(worst, Math.abs(Math.exp(values[b][i] - piece.logProbs[i]) - 1));
  })); // prettier-ignore
  return worst;
}

test('replay with unchanged weights gives ratio 1 at every position, guided and conditional, and for answers', () => {
  assert.ok(worstRatio(images(5)) < 1e-4);
  assert.ok(worstRatio(images(0), 'conditional') < 1e-4);
  for (const piece of answers()) assert.ok(worstRatio([piece]) < 1e-4);
});

test('shifted by one position the ratio is not 1: the test above can fail', () => {
  const shift = <T extends Int32Array>(ids: T) => Int32Array.from(ids, (_, i) => ids[(i + 1) % ids.length]);
  const shifted = images(5).map((piece) => ({ ...piece, ids: shift(piece.ids) }));
  assert.ok(worstRatio(shifted) > 0.1);
  const [answer] = answers();
  assert.ok(worstRatio([{ ...answer, ids: shift(answer.ids) }]) > 0.1);
  assert.ok(worstRatio(images(5), 'conditional') > 0.1, 'the conditional half is not what was sampled under guidance');
});

test('scored positions: all, those unknown before the step, those that stay', () => {
  const batch = new ImageBatch(model, [[1, 2]], [new Rng(3)], { steps: 4, guidanceScale: 0 });
  batch.finish();
  const n = model.config.num_vq_tokens;
  const count = (scored: 'all' | 'masked' | 'committed') =>
    transitionPieces(batch, 0, scored).map((piece) => piece.mask.reduce((a, b) => a + b, 0));
  assert.deepEqual(count('all'), [n, n, n, n]);
  const masked = count('masked');
  assert.equal(masked[0], n);
  for (let t = 1; t < 4; t++) assert.ok(masked[t] < masked[t - 1] && masked[t] > 0);
  assert.equal(
    count('committed').reduce((a, b) => a + b, 0),
    n,
    'every position stays exactly once',
  );
});

test('images do not depend on their neighbours, and can be stopped, thinned out and carried on', () => {
  const conditions = [
    [1, 2],
    [3, 4],
    [5, 6],
  ];
  const rngs = () => conditions.map((_, i) => new Rng(11).split(i));
  const options = { steps: 5, guidanceScale: 2 };
  const whole = new ImageBatch(model, conditions, rngs(), options).finish();
  const alone = new ImageBatch(model, [conditions[1]], [rngs()[1]], options).finish();
  assert.deepEqual(alone[0], whole[1]);
  const stopped = new ImageBatch(model, conditions, rngs(), options);
  stopped.advance();
  stopped.advance();
  const rest = stopped.subset([2, 0]);
  assert.deepEqual(rest.finish(), [whole[2], whole[0]]);
  assert.ok(whole.every((codes) => codes.every((code) => code >= 0 && code < model.config.codebook_size)));
  assert.throws(
    () => replayPieces(model, [...answers().slice(0, 1), ...images(0).slice(0, 1)]),
    /one segment at a time/,
  );
});
