import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../src/engine';
import { startCodesFromCodebook } from '../../src/miniworld/curricula/janus-code-rows';
import { janusMini } from '../../src/miniworld/curricula/janus-config';
import { type JanusSource, janusTask } from '../../src/miniworld/curricula/janus-task';
import { janusTokenizerTask } from '../../src/miniworld/curricula/janus-tokenizer-task';
import { janusVisionTask, type LabeledImage } from '../../src/miniworld/curricula/janus-vision-task';
import type { JanusConfig } from '../../src/models/janus/config';
import { JanusImageTokenizer } from '../../src/models/janus/image-tokenizer';
import { understandingIds } from '../../src/models/janus/layout';
import { JanusLayers, JanusNetwork } from '../../src/models/janus/network';
import { pixelsTensor } from '../../src/io';
import { expectedTensors } from '../../src/nn/store';
import { sampleText } from '../../src/models/janus/text-sampler';
import { packTurns, scoredLogits } from '../../src/models/janus/supervised';
import { withFeatures } from '../../src/models/janus/inputs';
import type { PackedRow } from '../../src/nn/packed-rows';
import { type StepReport, type SupervisedTask, trainSupervised } from '../../src/sft/loop';

const SIDE = 16;

/** The mini Janus, smaller still: 16 x 16 images, 4 x 4 codes out of 12. */
function tinyConfig(): JanusConfig {
  const { text, vision, vq, tokens } = janusMini(30, { bos: 2, eos: 3, pad: 0 });
  const small = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, head_dim: 8, num_key_value_heads: 2 };
  return {
    text: { ...text, ...small, intermediate_size: 48, max_position_embeddings: 64 },
    vision: { ...vision, hidden_size: 16, image_size: SIDE, patch_size: 8, num_hidden_layers: 1, projection_dim: 32 },
    vq: {
      ...vq,
      embed_dim: 8,
      num_embeddings: 12,
      latent_channels: 8,
      num_patches: 4,
      base_channels: 8,
      channel_multiplier: [1, 1, 2],
      num_res_blocks: [0, 1, 1],
      projection_dim: 32,
      image_token_embed_dim: 32,
    },
    tokens,
  };
}

/** A square of one of two colors on the left or on the right, with caption, question and a text of its own. */
const source: JanusSource = {
  image(rng) {
    const [red, left] = [rng.int(2), rng.int(2)];
    const pixels = new Uint8Array(SIDE * SIDE * 3).fill(255);
    for (let y = 4; y < 12; y++)
      for (let x = 0; x < 8; x++)
        for (let c = 0; c < 3; c++) pixels[(y * SIDE + x + (left ? 0 : 8)) * 3 + c] = c === (red ? 0 : 2) ? 255 : 0;
    const turns = [
      { question: [10, 11], answer: [20 + red] },
      { question: [12, 11], answer: [22 + left] },
    ];
    return { pixels, caption: [20 + red, 22 + left], questions: turns };
  },
  text(rng) {
    const which = rng.int(3);
    return { text: [14, 9 + rng.int(3), 15], questions: [{ question: [16 + which], answer: [24 + which] }] };
  },
};

const images = (rng: Rng) => source.image(rng).pixels;

async function collect(task: SupervisedTask<unknown>, steps: number, learningRate: number): Promise<StepReport[]> {
  const out: StepReport[] = [];
  let tensors = 0;
  for await (const report of trainSupervised(task, { steps, seed: 3, learningRate })) {
    if (report.step === 4) tensors = tf.memory().numTensors;
    if (report.step > 4) assert.equal(tf.memory().numTensors, tensors, `step ${report.step}`);
    out.push(report);
  }
  return out;
}

const mean = (list: readonly StepReport[], of: (report: StepReport) => number) =>
  list.reduce((sum, report) => sum + of(report), 0) / list.length;

before(() => startEngine({ precision: 'float32', quiet: true }));

test('the mini model has 6 to 9 million parameters', () => {
  const shapes = Object.values(expectedTensors(new JanusLayers(janusMini(203, { bos: 2, eos: 3, pad: 0 })))).map(
    ({ shape }) => shape,
  );
  const count = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assert.ok(count > 6e6 && count < 9e6, String(count));
});

describe('training', () => {
  test('both stages learn, each its own part, and nothing leaks', async () => {
    const network = JanusNetwork.random(tinyConfig(), new Rng(1));
    const tokenizer = janusTokenizerTask(network, images, {
      batch: 4,
      size: SIDE,
      restartEvery: 5,
      restartUntil: 20,
      probe: 8,
    });
    const names = [Object.keys(tokenizer.variables), Object.keys(janusTask(network, source, { ...SIZES }).variables)];
    assert.ok(names[0].every((name) => name.startsWith('model.vqmodel.')));
    assert.equal(names[0].length + names[1].length, Object.keys(network.store.variables).length);
    assert.equal(new Set(names.flat()).size, names.flat().length);
    const first = await collect(tokenizer, 30, 6e-3);
    assert.ok(mean(first.slice(-8), (r) => r.metrics.l1) < 0.6 * mean(first.slice(0, 8), (r) => r.metrics.l1));
    assert.ok(first.every((report) => report.metrics.used >= 1 && report.metrics.used <= 12));

    startCodesFromCodebook(network, new Rng(2));
    const vq = readValues(() => tf.clone(network.store.get('model.vqmodel.encoder.conv_in.weight')));
    const second = await collect(janusTask(network, source, SIZES), 80, 6e-3);
    for (const part of ['t2i', 'mmu', 'lm']) {
      const [start, end] = [second.slice(0, 8), second.slice(-8)].map((list) => mean(list, (r) => r.metrics[part]));
      assert.ok(end < 0.75 * start, `${part}: ${start} to ${end}`);
    }
    assert.deepEqual(
      readValues(() => tf.clone(network.store.get('model.vqmodel.encoder.conv_in.weight'))),
      vq,
    );
    // What was learned is said when asked as samplers ask.
    const ids = understandingIds(network.config, [[14, 10, 15, 17]]);
    const prompt = { task: 'understand', ids, images: [], shared: 1 } as const;
    const asked = [{ prompt, rng: new Rng(1) }];
    const [said] = sampleText(network, asked, (list) => list.join(), { temperature: 0, maxNewTokens: 4 });
    assert.equal(said.text, '25,3');
    network.dispose();
  });

  test('wrong codes are read, the true ones are learned; a frozen tower takes no part', async () => {
    const network = JanusNetwork.random(tinyConfig(), new Rng(1));
    const seen = Array.from({ length: 8 }, (_, i) => images(new Rng(i)));
    const pixels = pixelsTensor(seen, SIDE, SIDE);
    new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel).restartUnusedCodes(pixels, new Rng(9));
    pixels.dispose();
    const batchOf = async (wrongCodes: number) => {
      const batch = await janusTask(network, source, { ...SIZES, wrongCodes }).batch(0, new Rng(5));
      const read = [batch.images.seen?.arraySync(), batch.images.targets.arraySync()];
      tf.dispose(batch);
      return read;
    };
    const [plain, wrong] = [await batchOf(0), await batchOf(1)];
    assert.notDeepEqual(wrong[0], plain[0]);
    assert.deepEqual(wrong[1], plain[1]);
    const learned = (frozenTower: boolean) =>
      Object.keys(janusTask(network, source, { ...SIZES, frozenTower }).variables);
    const frozen = learned(true);
    const missing = learned(false).filter((name) => !frozen.includes(name));
    assert.ok(missing.length > 0 && missing.every((name) => name.startsWith('model.vision_model.')));
    network.dispose();
  });

  test('a tower learns hues where they are asked, and refuses images without any', async () => {
    const network = JanusNetwork.random(tinyConfig(), new Rng(1));
    const patches = 4;
    const looks = (rng: Rng): LabeledImage => {
      const red = rng.int(2);
      const pixels = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => (i % 3 === (red ? 0 : 2) ? 255 : 0));
      return { pixels, labels: {}, hues: [red ? 0 : 240, NaN, red ? 0 : 240, NaN] };
    };
    const options = { batch: 8, size: SIDE, classes: { nothing: 2 }, hue: 1 };
    const labeled = (rng: Rng) => ({ ...looks(rng), labels: { nothing: Array<number>(patches).fill(0) } });
    const reports = await collect(janusVisionTask(network, labeled, options), 60, 1e-2);
    const errors = reports.map(({ metrics }) => metrics.hue);
    assert.ok(Math.abs(errors[0] - 1) < 1e-3, String(errors[0])); // a head of zeros is one away from the circle
    assert.ok(errors[59] < 0.05, String(errors[59]));
    const without = (rng: Rng) => ({ ...labeled(rng), hues: undefined });
    const task = janusVisionTask(network, without, options);
    await assert.rejects(async () => task.batch(0, new Rng(1)), /no hues for the 4 patches/);
    network.store.dispose();
  });

  test('unused codes go where latents are', () => {
    const network = JanusNetwork.random(tinyConfig(), new Rng(1));
    const imageTokenizer = new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel);
    const codebook = network.store.get('model.vqmodel.quantize.embedding.weight') as tf.Variable;
    tf.tidy(() => codebook.assign(tf.ones([12, 8]))); // every latent goes to the first
    const pixels = tf.tensor4d(new Rng(6).normal(4 * SIDE * SIDE * 3), [4, SIDE, SIDE, 3]);
    const used = () => new Set(imageTokenizer.encodePixels(pixels).dataSync()).size;
    tf.tidy(() => assert.equal(used(), 1));
    const start = tf.memory().numTensors;
    assert.equal(imageTokenizer.restartUnusedCodes(pixels, new Rng(9)), 11);
    assert.equal(tf.memory().numTensors, start);
    tf.tidy(() => assert.ok(used() >= 8, String(used())));
    pixels.dispose();
    network.dispose();
  });
});

const SIZES = { images: 4, asked: 3, questions: 2, texts: 4, size: SIDE };

test('the entropy loss is lowest when sure latents use all codes alike, and reaches every code', () => {
  const network = JanusNetwork.random(tinyConfig(), new Rng(1));
  const imageTokenizer = new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel);
  const codebook = network.store.variables['model.vqmodel.quantize.embedding.weight'];
  // Twelve directions, far from each other: plus and minus along six axes.
  const rows = Array.from({ length: 12 }, (_, i) =>
    Array.from({ length: 8 }, (_, k) => (k === i >> 1 ? (i % 2 ? -2 : 2) : 0)),
  );
  tf.tidy(() => codebook.assign(tf.tensor2d(rows)));
  const entropy = (latents: number[][], temperature?: number) =>
    readValues(() => imageTokenizer.entropy(tf.tensor2d(latents), temperature))[0];
  assert.ok(Math.abs(entropy(rows) + Math.log(12)) < 1e-4);
  assert.ok(Math.abs(entropy(rows.map(() => rows[3]))) < 1e-4);
  assert.ok(entropy(rows.slice(0, 6)) > entropy(rows) && entropy(rows.slice(0, 6)) < entropy(rows.slice(0, 2)));
  const { value, grads } = tf.variableGrads(
    () => imageTokenizer.entropy(tf.tensor2d([rows[0], [1, 1, 1, 0, 0, 0, 0, 0]]), 0.5),
    [codebook],
  );
  const reached = grads[codebook.name].arraySync() as number[][];
  assert.ok(reached.every((row) => row.some((g) => Math.abs(g) > 1e-6)));
  tf.dispose([value, grads] as tf.TensorContainer);
  network.dispose();
});

test('a cell has one code wherever it stands and whatever stands beside it', () => {
  const network = JanusNetwork.random(tinyConfig(), new Rng(7));
  const imageTokenizer = new JanusImageTokenizer(network.config.vq, network.layers.model.vqmodel);
  const side = 4;
  const rng = new Rng(8);
  const cells = Array.from({ length: 16 }, () => rng.normal(side * side * 3));
  const image = (order: readonly number[]) => {
    const out = new Float32Array(SIDE * SIDE * 3);
    order.forEach((cell, place) => {
      for (let y = 0; y < side; y++) {
        const at = ((Math.floor(place / 4) * side + y) * SIDE + (place % 4) * side) * 3;
        out.set(cells[cell].subarray(y * side * 3, (y + 1) * side * 3), at);
      }
    });
    return out;
  };
  const codes = (order: readonly number[]) =>
    readValues<'int32'>(() => imageTokenizer.encodePixels(tf.tensor4d(image(order), [1, SIDE, SIDE, 3])));
  const plain = codes(cells.map((_, i) => i));
  assert.ok(new Set(plain).size > 3);
  const shuffled = rng.shuffle(cells.map((_, i) => i));
  assert.deepEqual(
    [...codes(shuffled)],
    shuffled.map((cell) => plain[cell]),
  );
  const odd = tf.zeros<tf.Rank.R4>([1, 15, 16, 3]);
  assert.throws(() => imageTokenizer.encodePixels(odd), /with sides divisible by 4, got \[1,15,16,3\]/);
  odd.dispose();
  network.dispose();
});

test('turns packed into one row get the logits of separate rows', () => {
  const network = JanusNetwork.random(tinyConfig(), new Rng(4));
  const { config } = network;
  const turns = [
    { question: [10, 11], answer: [20, 21] },
    { question: [12], answer: [22] },
    { question: [13, 14, 15], answer: [23] },
  ];
  const pixels = tf.tensor4d(new Rng(6).normal(2 * SIDE * SIDE * 3), [2, SIDE, SIDE, 3]);
  const features = network.imageFeatures(pixels);
  const first = tf.slice(features, [0, 0, 0], [1, -1, -1]);
  const begin = understandingIds(config, ['image']);
  const logitsOf = (rows: readonly PackedRow[], seen: tf.Tensor3D) =>
    readValues(() => scoredLogits(network, withFeatures(network, rows, seen.shape[0]), seen));
  const packed = logitsOf([packTurns(config, begin, turns), packTurns(config, begin, turns.slice(0, 1))], features);
  let at = 0;
  for (const { question, answer } of turns) {
    const alone = logitsOf([packTurns(config, begin, [{ question, answer }])], first);
    alone.forEach((value, i) => assert.ok(Math.abs(value - packed[at + i]) < 1e-4));
    at += alone.length;
  }
  const inputs = withFeatures(network, [packTurns(config, begin, turns)], 1);
  assert.deepEqual(Array.from(inputs.targets.dataSync()), [20, 21, 3, 22, 3, 23, 3]);
  assert.throws(() => packTurns(config, begin, [{ question: [], answer: [1] }]), /a turn needs a question/);
  assert.throws(
    () => packTurns(config, begin, [{ question: new Array<number>(60).fill(9), answer: [1] }]),
    /this model has 64/,
  );
  tf.dispose([pixels, features, first, inputs]);
  network.dispose();
});
