import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Rng, startEngine, tf } from '../../../src/engine';
import { drawnInputs, everyCode } from '../../../src/models/showo/image-inputs';
import { conditionTokens, imageStart, textToImageIds } from '../../../src/models/showo/layout';
import { textToImageMask } from '../../../src/models/showo/masks';
import type { ShowoModel } from '../../../src/models/showo/model';
import { ShowoImageSampler } from '../../../src/models/showo/sampler';
import { showoFixture } from './fixture';

let model: ShowoModel;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  ({ model } = await showoFixture());
});

const texts = [
  [66, 34, 14],
  [5, 7],
];
const someCodes = (seed: number) => {
  const rng = new Rng(seed);
  const { num_vq_tokens: count, codebook_size: size } = model.config;
  return Array.from({ length: count }, () => (rng.uniform() < 0.5 ? -1 : rng.int(size)));
};
/** Three images, two of one text. */
const images = () => [0, 1, 0].map((text, i) => ({ condition: texts[text], codes: someCodes(i) }));

/** Logits of every code, each image a whole row of its own. */
function separate(rows: readonly (readonly number[])[]): tf.Tensor2D {
  const { config, network } = model;
  return tf.tidy(() => {
    const masks = rows.map((row) => textToImageMask(row, network.vocabulary));
    const hidden = network.hidden(network.inputs(rows, masks));
    const inside = tf.slice(hidden, [0, imageStart(config), 0], [-1, config.num_vq_tokens, -1]);
    const logits = network.logits(tf.reshape<tf.Rank.R2>(inside, [-1, config.hidden_size]));
    return tf.slice(logits, [0, network.vocabulary.imageOffset], [-1, config.codebook_size]);
  });
}

const wholeRows = (drawn: ReturnType<typeof images>, isDropped: boolean) =>
  drawn.map(({ condition, codes }) =>
    textToImageIds(model.config, conditionTokens(model.config, isDropped ? null : condition), codes),
  );

/** Value and gradients of a sum of squares, in one list. */
function gradients(logits: () => tf.Tensor2D): number[] {
  const { value, grads } = tf.variableGrads(
    () => tf.mean<tf.Scalar>(tf.square(logits())),
    Object.values(model.variables()),
  );
  const flat = [value, ...Object.values(grads)].flatMap((one) => Array.from(one.dataSync()));
  tf.dispose([value, grads] as tf.TensorContainer);
  return flat;
}

describe('texts that images share', () => {
  test('give the logits and the gradients of whole rows, guided and not', () => {
    const drawn = images();
    const places = everyCode(3, model.config.num_vq_tokens);
    for (const scale of [1, 3]) {
      const shared = gradients(() => {
        return model.network.imageLogits(drawnInputs(model.config, drawn, scale !== 1, places), scale).guided;
      });
      const apart = gradients(() => {
        const conditional = separate(wholeRows(drawn, false));
        const dropped = separate(wholeRows(drawn, true));
        return tf.sub(tf.mul(conditional, scale), tf.mul(dropped, scale - 1));
      });
      const distance = Math.hypot(...shared.map((x, i) => x - apart[i])) / Math.hypot(...apart);
      assert.ok(distance < 1e-5, `guidance ${scale}: ${distance}`);
      assert.ok(Math.abs(shared[0] - apart[0]) < 1e-5 * apart[0]);
    }
  });

  test('are computed once each, and without the padding where half a long layout holds them', () => {
    const { config } = model;
    const count = config.num_vq_tokens;
    for (const [layout, length] of [
      [config.max_text_len, config.max_text_len],
      [32, 32],
      [80, 40],
    ]) {
      const inputs = drawnInputs({ ...config, max_text_len: layout }, images(), true, everyCode(3, count));
      // Two texts and the dropped one; three images twice, each with its begin and its end.
      assert.deepEqual(inputs.ids.shape, [1, 3 * length + 6 * (count + 2)], `${layout}`);
      assert.deepEqual(Array.from(inputs.owner.dataSync()), [0, 1, 0, 2, 2, 2]);
      tf.dispose(inputs);
    }
  });

  test('padding changes nothing, and only what is asked for is computed', () => {
    const { config, network } = model;
    const drawn = images();
    const places = [
      { image: 0, code: 3 },
      { image: 2, code: 0 },
    ];
    const logits = (size?: number) =>
      tf.tidy(() => network.imageLogits(drawnInputs(config, drawn, true, places, size), 3).guided.arraySync());
    const [own, padded] = [logits(), logits(6)];
    assert.deepEqual([own.length, padded.length], [2, 6]);
    own.forEach((row, i) => row.forEach((x, k) => assert.ok(Math.abs(x - padded[i][k]) < 1e-4)));
  });
});

test('a batch that is thinned out goes on in one of three sizes, with the codes that it would have alone', () => {
  const request = (i: number) => ({ condition: texts[i % 2], draws: new Rng(5).split(i) });
  const options = { steps: 4, guidanceScale: 3 };
  const batch = ShowoImageSampler.start(model.network, [0, 1, 2, 3, 4].map(request), options);
  batch.step();
  const [left] = batch.select([3]).finish();
  const [alone] = ShowoImageSampler.start(model.network, [request(3)], options).finish();
  assert.deepEqual(left.codes, alone.codes);
});

test('more images than a pass holds are drawn part after part, with the codes that each would have alone', () => {
  const request = (i: number) => ({ condition: texts[i % 2], draws: new Rng(5).split(i) });
  const options = { steps: 4, guidanceScale: 3 };
  const alone = (i: number) => ShowoImageSampler.start(model.network, [request(i)], options).finish()[0].codes;
  const all = () => Array.from({ length: 29 }, (_, i) => request(i)); // parts of 10, 10 and 9
  const batch = ShowoImageSampler.start(model.network, all(), options);
  batch.step();
  // Thinned out across the parts: those that go on make new ones, with texts of their own.
  const kept = [28, 0, 12, 3, 19, 20, 21, 7, 8, 9, 10, 27];
  const left = batch.select(kept).finish();
  left.forEach(({ codes }, k) => assert.deepEqual(codes, alone(kept[k]), `image ${kept[k]}`));
  const { numTensors } = tf.memory();
  const whole = ShowoImageSampler.start(model.network, all(), options).finish();
  assert.equal(tf.memory().numTensors, numTensors);
  for (const i of [0, 9, 10, 28]) assert.deepEqual(whole[i].codes, alone(i), `image ${i}`);
});
