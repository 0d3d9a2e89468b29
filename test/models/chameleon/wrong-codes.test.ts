/** Chameleon's drawn images behind wrong codes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { crossEntropy, startEngine, Rng, tf } from '../../../src/engine';
import type { Image } from '../../../src/io';
import type { ChameleonModel } from '../../../src/models/chameleon/model';
import type { InterleavedExample } from '../../../src/models/unified';
import { withWrongCodes } from '../../../src/nn/code-noise';
import { tinyModel } from './fixture';

let model: ChameleonModel;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  model = tinyModel();
});
after(() => model.dispose());

const noise = (seed: number): Image => {
  const rng = new Rng(seed);
  return { width: 8, height: 8, rgb: Uint8Array.from({ length: 3 * 8 * 8 }, () => rng.int(256)) };
};

test('drawn images of sequences are read behind wrong codes, and scored as they are', () => {
  const [first, other] = [noise(1), noise(2)];
  const sequence = (prompt: Image, ...answer: (string | Image)[]) =>
    ({ task: 'sequence', prompt: [prompt], answer }) as const;
  const loss = (examples: readonly InterleavedExample[], wrongCodes: number) =>
    tf.tidy(() => model.supervisedLoss(examples, new Rng(1), { cfgDropout: 0, wrongCodes }).dataSync()[0]);
  const same = (...examples: InterleavedExample[]) => assert.equal(loss(examples, 1), loss(examples, 0));
  same(sequence(first, 'w40'), sequence(other, 'w41')); // what is looked at stays as it is
  same(sequence(other, 'w40', first), sequence(other, first)); // the other image is the same one
  const two = [sequence(first, 'w40', first), sequence(other, 'w41', other)];
  assert.notEqual(loss(two, 1), loss(two, 0));
  // Behind codes that are all another image's, the labels are still the image's own.
  const codesOf = (one: Image) => Array.from(model.imageTokenizer.encode([one])[0]);
  const drawn = [first, other].map(codesOf);
  const expected = tf.tidy(() => {
    const v = model.network.vocabulary;
    const losses = drawn.map((own, i) => {
      const [read] = withWrongCodes([own], 1, new Rng(1).split('wrong codes').split(i), 'cosine', drawn);
      const [ids, labels] = [read, own].map((codes) => [
        ...[0, 30, v.boi],
        ...Array.from(codes, (code) => v.idOfCode[code]),
        ...[v.eoi, 2],
      ]);
      const hidden = tf.slice(model.network.hidden([ids]), [0, 1, 0], [1, ids.length - 2, -1]);
      const logits = model.network.logits(tf.reshape<tf.Rank.R2>(hidden, [ids.length - 2, -1]));
      return crossEntropy(logits, tf.tensor1d(labels.slice(2), 'int32')).dataSync()[0];
    });
    return (losses[0] + losses[1]) / 2;
  });
  const short = (one: Image) => ({ task: 'sequence', prompt: ['w30'], answer: [one] }) as const;
  const found = loss([short(first), short(other)], 1);
  assert.ok(Math.abs(found - expected) < 1e-5, `${found} and ${expected}`);
});
