import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { nextLogits } from '../../../src/models/showo/text-sampler';
import { startCodesFromBits, withSharedBits } from '../../../src/miniworld/curricula/showo-code-rows';
import type { ShowoConfig } from '../../../src/models/showo/config';
import { answerExample, textPrefix, textToImageExample, understandingPrefix } from '../../../src/models/showo/layout';
import { MagvitTokenizer } from '../../../src/models/showo/image-tokenizer';
import { ShowoModel } from '../../../src/models/showo/model';
import type { ShowoNetwork } from '../../../src/models/showo/network';
import { numberWords } from './tiny-showo';
import { withBitNoise } from '../../../src/nn/code-noise';
import { IGNORE, type PackedRow, withWordNoise } from '../../../src/nn/packed-rows';
import {
  answerInputs,
  imageInputs,
  imageSizes,
  packImage,
  packText,
  scoredLogits,
  scoredLoss,
} from '../../../src/models/showo/supervised';
import { type PackedInputs, packedSizes } from '../../../src/nn/row-inputs';

const config: ShowoConfig = {
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  layer_norm_eps: 1e-5,
  rope_theta: 10000,
  partial_rotary_factor: 0.5,
  llm_vocab_size: 40,
  codebook_size: 64,
  num_vq_tokens: 9,
  bos_token_id: 2,
  eos_token_id: 3,
  max_text_len: 10,
};

let whole: ShowoModel;
let model: ShowoNetwork;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  const coder = { ch: 8, ch_mult: [1, 1], num_res_blocks: [1, 1], z_channels: 6, norm_groups: 4 };
  const imageTokenizer = MagvitTokenizer.random({ encoder: coder, decoder: coder, codebook_dim: 6 }, new Rng(1));
  whole = ShowoModel.random(config, imageTokenizer, numberWords(config.llm_vocab_size), new Rng(2));
  model = whole.network;
  // Larger weights than a fresh model's, so that positions and masks matter.
  for (const variable of Object.values(whole.store.variables))
    if (variable.shape.length > 1) tf.tidy(() => variable.assign(tf.mul(variable, 10)));
});

const turns = [
  { question: [5, 6, 7], answer: [8, 9] },
  { question: [10], answer: [11, 12, 13] },
  { question: [7, 5, 6, 20], answer: [21] },
];
const codes = Array.from({ length: 9 }, (_, i) => (i * 7) % 64);

function separate(prefixes: readonly (readonly number[])[], image: boolean): tf.Tensor2D {
  const rows = prefixes.map((prefix, i) => answerExample(config, prefix, turns[i].answer, 40));
  const before = ({ labels }: { labels: number[] }) =>
    labels.flatMap((label, i) => (i > 0 && label !== IGNORE ? [i - 1] : []));
  const asked = rows.map((row) => ({ ids: row.ids, image }));
  return nextLogits(model, asked, rows.map(before), 'all');
}

/** Logits of what is scored, and those tokens. */
function packedLogits(network: ShowoNetwork, rows: readonly PackedRow[]): { logits: tf.Tensor2D; targets: number[] } {
  const inputs = answerInputs(config, rows);
  const logits = scoredLogits(network, inputs);
  const targets = Array.from(inputs.targets.dataSync());
  tf.dispose(inputs);
  return { logits, targets };
}

const largest = (a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]);

describe('several questions in one row', () => {
  it('give the logits of separate rows, for images and for text', () => {
    const images = packedLogits(model, [packImage(config, codes, turns)]);
    assert.deepEqual(
      images.targets,
      turns.flatMap((turn) => [...turn.answer, model.vocabulary.eot]),
    );
    const alone = separate(
      turns.map((turn) => understandingPrefix(config, codes, turn.question)),
      true,
    );
    assert.deepEqual(images.logits.shape, alone.shape);
    assert.ok(largest(images.logits, alone) < 1e-4, String(largest(images.logits, alone)));

    const facts = [30, 31, 32, 33, 34];
    const texts = packedLogits(model, [packText(config, facts, turns)]);
    const aloneText = separate(
      turns.map((turn) => textPrefix(config, [...facts, ...turn.question])),
      false,
    );
    assert.ok(largest(texts.logits, aloneText) < 1e-4, String(largest(texts.logits, aloneText)));
    tf.dispose([images.logits, alone, texts.logits, aloneText]);
  });

  it('rows of different lengths do not disturb each other, and nothing leaks', () => {
    const rows = [packImage(config, codes, turns), packImage(config, [...codes].reverse(), turns.slice(1, 2))];
    const before = tf.memory().numTensors;
    const together = packedLogits(model, rows);
    const apart = rows.map((row) => packedLogits(model, [row]));
    const joined = tf.concat(apart.map((one) => one.logits));
    assert.ok(largest(together.logits, joined) < 1e-4);
    tf.dispose([together.logits, joined, ...apart.map((one) => one.logits)]);
    assert.equal(tf.memory().numTensors, before);
  });

  it('a change in one turn changes no other', () => {
    const base = packedLogits(model, [packImage(config, codes, turns)]);
    const other = packedLogits(model, [
      packImage(config, codes, [turns[0], { ...turns[1], question: [25] }, turns[2]]),
    ]);
    const delta = tf.tidy(() => Array.from(tf.max(tf.abs(tf.sub(base.logits, other.logits)), 1).dataSync()));
    assert.ok(
      delta.slice(3, 7).every((d) => d > 1e-3),
      'its own answers do change',
    );
    assert.ok([...delta.slice(0, 3), ...delta.slice(7)].every((d) => d < 1e-5));
    tf.dispose([base.logits, other.logits]);
  });

  it('refuses a turn that asks nothing, as nothing could predict its answer', () => {
    assert.throws(() => packText(config, [30], [{ question: [], answer: [5] }]), /needs a question/);
  });
});

describe('rows of image codes that start from their bits', () => {
  it('are closer the more bits two codes share, and leave the text rows alone', () => {
    const table = whole.store.get('showo.model.embed_tokens.weight') as tf.Variable<tf.Rank.R2>;
    const offset = model.vocabulary.imageOffset;
    const text = tf.tidy(() => Array.from(tf.slice(table, [0, 0], [offset, -1]).dataSync()));
    startCodesFromBits(whole, new Rng(3));
    assert.deepEqual(
      tf.tidy(() => Array.from(tf.slice(table, [0, 0], [offset, -1]).dataSync())),
      text,
    );
    const rows = tf.tidy(() => tf.slice(table, [offset, 0], [64, -1]).arraySync());
    const distance = (a: number, b: number) => Math.hypot(...rows[a].map((v, j) => v - rows[b][j]));
    const mean: number[] = [];
    for (const apart of [1, 3, 6]) {
      const pairs = rows
        .flatMap((_, a) => rows.map((__, b) => [a, b]))
        .filter(([a, b]) => [...(a ^ b).toString(2)].filter((d) => d === '1').length === apart);
      mean.push(pairs.reduce((sum, [a, b]) => sum + distance(a, b), 0) / pairs.length);
    }
    assert.ok(mean[0] < mean[1] && mean[1] < mean[2], mean.join());
    assert.deepEqual(table.shape[1], 32);
  });
});

describe('rows of codes that learn together by bits', () => {
  it('change nothing at first, learn from every code, and are saved as plain tables', async () => {
    const shared = withSharedBits(whole.store, config);
    const learned = shared.variables['showo.model.embed_tokens.weight.shared'];
    const name = 'showo.model.embed_tokens.weight';
    const offset = model.vocabulary.imageOffset;
    assert.ok(largest(shared.get(name), whole.store.get(name)) === 0);
    const [one, other] = [0b101010, 0b101011]; // the second is never trained on
    const { grads } = tf.variableGrads(
      () => tf.sum(tf.gather(shared.get(name), tf.tensor1d([offset + one], 'int32'))),
      Object.values(shared.variables),
    );
    const step = grads[learned.name];
    tf.tidy(() => learned.assign(tf.mul(step, 0.1)));
    const moved = tf.tidy(() => tf.sub(shared.get(name), whole.store.get(name)).arraySync() as number[][]);
    assert.ok(Math.abs(moved[offset + one][0] - 0.6) < 1e-5, 'all six bits push it the same way');
    assert.ok(Math.abs(moved[offset + other][0] - 0.4) < 1e-5, 'five of them push its neighbour, one pulls');
    assert.ok(
      moved.slice(0, offset).every((row) => row.every((v) => v === 0)),
      'words stay',
    );
    const saved = await shared.values();
    assert.deepEqual(Object.keys(saved).sort(), [...whole.store.names].sort());
    assert.ok(
      Math.abs(
        saved[name].data[(offset + one) * 32] -
          tf.tidy(() => shared.get(name).arraySync() as number[][])[offset + one][0],
      ) < 1e-7,
    );
    tf.dispose(grads);
  });
});

describe('word noise', () => {
  it('changes what is read of answers, as often as asked, and never what is scored', () => {
    const row = packText(
      config,
      [30, 31],
      Array.from({ length: 200 }, (_, i) => ({ question: [5], answer: [8 + (i % 20), 9] })),
    );
    const [noisy] = withWordNoise([row], 0.25, new Rng(4));
    assert.deepEqual(noisy.labels, row.labels);
    const changed = row.ids.map((id, i) => (noisy.ids[i] === id ? -1 : i)).filter((i) => i >= 0);
    for (const i of changed) assert.ok(row.labels[i] >= 0);
    assert.ok(changed.length > 60 && changed.length < 180, String(changed.length));
    assert.deepEqual(withWordNoise([row], 0, new Rng(4)), [row]);
    const [asked] = withWordNoise([row], 0, new Rng(4), 0.99);
    asked.ids.forEach((id, i) => {
      if (id !== row.ids[i]) assert.ok(row.labels[i] < 0 && i >= row.shared && i > row.starts[i]);
    });
  });

  it('flips one bit of some codes', () => {
    const before = Array.from({ length: 1000 }, (_, i) => (i * 37) % 4096);
    const after = withBitNoise(before, 12, 0.2, new Rng(5));
    const apart = after.map((code, i) => [...(code ^ before[i]).toString(2)].filter((d) => d === '1').length);
    assert.ok(apart.every((d) => d <= 1));
    const flipped = apart.reduce((a, b) => a + b);
    assert.ok(flipped > 150 && flipped < 250, String(flipped));
    assert.ok(after.every((code) => code >= 0 && code < 4096));
  });
});

describe('rows that are padded to other sizes', () => {
  /** Loss, and gradients of all variables in one list. */
  const gradients = (inputs: PackedInputs) => {
    const { value, grads } = tf.variableGrads(() => scoredLoss(model, inputs), Object.values(whole.store.variables));
    const flat = Object.values(grads).flatMap((grad) => Array.from(grad.dataSync()));
    const loss = value.dataSync()[0];
    tf.dispose([value, grads, inputs] as tf.TensorContainer);
    return { loss, flat };
  };
  const assertSame = (own: PackedInputs, padded: PackedInputs) => {
    const [a, b] = [gradients(own), gradients(padded)];
    assert.ok(Math.abs(a.loss - b.loss) < 1e-6 * a.loss, `${a.loss} and ${b.loss}`);
    const norm = Math.hypot(...a.flat);
    const apart = Math.hypot(...a.flat.map((g, i) => g - b.flat[i]));
    assert.ok(apart < 1e-5 * norm, `${apart} of ${norm}`);
  };

  it('have the loss and the gradient of their own sizes: answers', () => {
    const rows = [packImage(config, codes, turns), packImage(config, [...codes].reverse(), turns.slice(1, 2))];
    const { rows: count, length, scored } = packedSizes(rows);
    const sizes = { rows: count + 2, length: length + 7, scored: scored + 20 };
    assertSame(answerInputs(config, rows), answerInputs(config, rows, sizes));
    assert.throws(() => answerInputs(config, rows, { ...sizes, scored: scored - 1 }), /there is room for/);
    assert.throws(() => answerInputs(config, rows, { ...sizes, length: length - 1 }), /there is room for/);
  });

  it('and images: padding before the text of all rows is left out', () => {
    const masked = [1, 0, 1, 1, 0, 0, 1, 0, 1];
    const rows = [
      [5, 6],
      [7, 8, 9],
    ].map((text) => textToImageExample(config, text, codes, masked));
    const sizes = imageSizes(config, rows);
    // t2i sot 7 8 9 eot, soi, nine codes, eoi; four places of padding in all rows are left out.
    assert.deepEqual(sizes, { rows: 2, length: 17, scored: 10 });
    assertSame(imageInputs(config, rows), imageInputs(config, rows, { rows: 3, length: 21, scored: 18 }));
  });
});
