import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../src/engine';
import { IGNORE } from '../../src/models/chameleon/layout';
import { chameleonMini, startCodesFromCodebook } from '../../src/miniworld/curricula/chameleon-config';
import { ChameleonModel } from '../../src/models/chameleon/model';
import { ChameleonLayers } from '../../src/models/chameleon/layers';
import { plainRow, scoredLogits, scoredRows } from '../../src/models/chameleon/supervised';
import { type PackedRow, packTurns } from '../../src/nn/packed-rows';
import { chameleonVocabulary } from '../../src/models/chameleon/vocabulary';
import { expectedTensors } from '../../src/nn/store';
import { Vqgan } from '../../src/nn/vqgan';
import { type StepReport, trainSupervised } from '../../src/sft/loop';
import { ChameleonImageTokenizer, refreshCodes } from '../../src/models/chameleon/image-tokenizer';
import { type ChameleonSource, chameleonTask, vqganTask } from '../../src/miniworld/curricula/chameleon-task';
import { pixelsTensor } from '../../src/io';
import { loadTokenizer } from '../../src/text';
import { tinyConfig, tinyModel } from '../models/chameleon/fixture';

before(() => startEngine({ precision: 'float32', quiet: true }));

const folder = () => mkdtempSync(path.join(tmpdir(), 'unilab-chameleon-train-'));

/** 8 x 8 images of two flat halves; what is said of them is the colors. */
const COLOURS = [
  [250, 20, 20],
  [20, 250, 20],
  [20, 20, 250],
];
function flag(rng: Rng): { pixels: Uint8Array; colors: number[] } {
  const colors = [rng.int(3), rng.int(3)];
  const pixels = Uint8Array.from(
    { length: 8 * 8 * 3 },
    (_, i) => COLOURS[colors[Math.floor(i / 3) % 8 < 4 ? 0 : 1]][i % 3],
  );
  return { pixels, colors };
}

const source: ChameleonSource = {
  image(rng) {
    const { pixels, colors } = flag(rng);
    const questions = colors.map((color, side) => ({ question: [30 + side, 32], answer: [40 + color] }));
    return { pixels, caption: colors.map((color) => 40 + color), questions };
  },
  text(rng) {
    const fact = 40 + rng.int(3);
    return { text: [33, fact], questions: [{ question: [34], answer: [fact] }] };
  },
  sequence(rng) {
    const { pixels, colors } = flag(rng);
    const said = colors.map((color) => 40 + color);
    return [
      { pixels, scored: false },
      { ids: [35], scored: false },
      { ids: said, scored: true },
      { pixels, scored: true },
    ];
  },
};

test('the image tokenizer learns, unused codes come into use, and nothing leaks', async () => {
  const wider = tinyConfig({ vq: { ...tinyConfig().vq, ch: 8, n_embed: 32 } });
  const tokenizer = ChameleonImageTokenizer.random(wider, new Rng(3));
  const images = Array.from({ length: 12 }, (_, i) => flag(new Rng(i)).pixels);
  const pixels = pixelsTensor(images, 8, 8);
  const usedBefore = new Set(tf.tidy(() => tokenizer.vqgan.encode(pixels).dataSync())).size;
  const unused = refreshCodes(tokenizer.vqgan, pixels, new Rng(1));
  assert.equal(unused, 32 - usedBefore);
  const usedAfter = new Set(tf.tidy(() => tokenizer.vqgan.encode(pixels).dataSync())).size;
  assert.ok(usedAfter > usedBefore, `${usedBefore} -> ${usedAfter} codes in use`);
  pixels.dispose();

  const task = vqganTask(tokenizer, (rng) => flag(rng).pixels, {
    batch: 4,
    size: 8,
    probe: 8,
    plainSteps: 3,
    refreshEvery: 5,
    refreshUntil: 28,
  });
  const counts: number[] = [];
  const losses: number[] = [];
  for await (const report of trainSupervised(task, { steps: 40, learningRate: 1e-2, seed: 1 })) {
    counts.push(tf.memory().numTensors);
    losses.push(report.metrics.l1);
  }
  const mean = (from: number) => losses.slice(from, from + 5).reduce((sum, loss) => sum + loss / 5, 0);
  assert.ok(mean(35) < 0.85 * mean(0), `${mean(0)} -> ${mean(35)}`);
  assert.equal(new Set(counts.slice(1)).size, 1, `${counts}`);
  tokenizer.dispose();
});

test('the decoder alone learns where the stage says so: codes stay what they were', async () => {
  const tokenizer = ChameleonImageTokenizer.random(tinyConfig(), new Rng(3));
  const image = flag(new Rng(7)).pixels;
  const codesOf = () => tokenizer.encode([{ width: 8, height: 8, rgb: image }]);
  const [codes, drawn] = [codesOf(), readValues(() => tokenizer.decode(codesOf()))];
  const task = vqganTask(tokenizer, (rng) => flag(rng).pixels, {
    batch: 4,
    size: 8,
    refreshUntil: -1,
    part: 'decoder',
  });
  for (const name of Object.keys(task.variables)) assert.match(name, /^(decoder|post_quant_conv)\./);
  const losses: number[] = [];
  for await (const { metrics } of trainSupervised(task, { steps: 30, learningRate: 1e-2, seed: 1 }))
    losses.push(metrics.l1);
  assert.ok(losses[29] < losses[0], `${losses[0]} -> ${losses[29]}`);
  assert.deepEqual(codesOf(), codes);
  assert.notDeepEqual(
    readValues(() => tokenizer.decode(codes)),
    drawn,
  );
  tokenizer.dispose();
});

test('the language model learns all four losses, and nothing leaks', async () => {
  const model = tinyModel({}, 2);
  const options = { images: 3, asked: 2, questions: 2, texts: 2, sequences: 1, size: 8 };
  const counts: number[] = [];
  const reports: StepReport[] = [];
  for await (const report of trainSupervised(chameleonTask(model, source, options), {
    steps: 24,
    learningRate: 1e-2,
    seed: 4,
  })) {
    counts.push(tf.memory().numTensors);
    reports.push(report);
  }
  const mean = (from: number, kind: string) =>
    reports.slice(from, from + 4).reduce((sum, { metrics }) => sum + metrics[kind] / 4, 0);
  for (const kind of ['t2i', 'mmu', 'lm', 'xcot'])
    assert.ok(mean(12, kind) < mean(0, kind), `${kind}: ${mean(0, kind)} -> ${mean(12, kind)}`);
  assert.equal(new Set(counts.slice(1)).size, 1, `${counts}`);
  assert.throws(
    () => chameleonTask(model, { ...source, sequence: undefined }, options),
    /1 sequences a batch are asked for/,
  );
  model.dispose();
});

test('wrong codes are read, the true ones are learned; texts alone are read as they stand where it is asked for', async () => {
  const model = tinyModel({}, 2);
  const options = { images: 6, asked: 2, questions: 2, texts: 3, size: 8, answerCorruption: 0.9, questionNoise: 0.9 };
  const batchOf = async (more: object) => {
    const batch = await chameleonTask(model, source, { ...options, ...more }).batch(0, new Rng(5));
    const numbers = (kind: 't2i' | 'lm') => [batch[kind]?.ids.arraySync(), batch[kind]?.targets.arraySync()];
    const read = { t2i: numbers('t2i'), lm: numbers('lm') };
    tf.dispose(batch);
    return read;
  };
  const [plain, wrong] = [await batchOf({}), await batchOf({ wrongCodes: 1 })];
  assert.notDeepEqual(wrong.t2i[0], plain.t2i[0]);
  assert.deepEqual(wrong.t2i[1], plain.t2i[1]);
  assert.deepEqual(wrong.lm, plain.lm);
  const noiseless = await batchOf({ answerCorruption: 0, questionNoise: 0 });
  assert.notDeepEqual(plain.lm[0], noiseless.lm[0]);
  assert.deepEqual(await batchOf({ textCorruption: 0 }).then(({ lm }) => lm), noiseless.lm);
  model.dispose();
});

test('stopped and resumed equals uninterrupted', async () => {
  const run = async (steps: number, place: string, seed: number, most: number) => {
    // The language model's weights come from the checkpoint; the image tokenizer is given.
    const config = tinyConfig();
    const imageTokenizer = ChameleonImageTokenizer.random(config, new Rng(1));
    const model = ChameleonModel.random(config, imageTokenizer, undefined, new Rng(seed));
    const task = chameleonTask(model, source, { images: 2, asked: 1, questions: 1, texts: 0, size: 8 });
    const losses: number[] = [];
    for await (const report of trainSupervised(task, { steps, seed: 4, folder: place })) {
      losses.push(report.loss);
      if (losses.length >= most) break;
    }
    model.dispose();
    return losses;
  };
  const whole = await run(6, folder(), 2, 6);
  const place = folder();
  const resumed = [...(await run(6, place, 2, 2)), ...(await run(6, place, 77, 6))];
  assert.deepEqual(resumed, whole);
});

test('turns that share a row have the logits of rows of their own', () => {
  const model = tinyModel();
  const beginning = [0, 12, 14, 40];
  const turns = [
    { question: [30, 31], answer: [50] },
    { question: [33], answer: [51, 52, 53] },
  ];
  const packed = [packTurns(beginning, turns, 2), packTurns([0, 41], turns.slice(1), 2)];
  const separate = [...turns.map((turn) => ({ from: beginning, turn })), { from: [0, 41], turn: turns[1] }].map(
    ({ from, turn: { question, answer } }) =>
      plainRow({
        ids: [...from, ...question, ...answer, 2],
        labels: [...[...from, ...question].map(() => IGNORE), ...answer, 2],
      }),
  );
  const logitsOf = (rows: readonly PackedRow[]) => {
    const inputs = scoredRows(model.network, rows);
    return { logits: scoredLogits(model.network, inputs), targets: Array.from(inputs.targets.dataSync()) };
  };
  tf.tidy(() => {
    const together = logitsOf(packed);
    const alone = separate.map((row) => logitsOf([row]));
    assert.deepEqual(
      together.targets,
      alone.flatMap(({ targets }) => targets),
    );
    const difference = tf
      .max(tf.abs(tf.sub(together.logits, tf.concat(alone.map(({ logits }) => logits)))))
      .dataSync()[0];
    assert.ok(difference < 1e-4, `${difference}`);
    assert.ok(tf.max(tf.abs(together.logits)).dataSync()[0] > 0.1);
  });
  assert.throws(() => packTurns([0], [{ question: [], answer: [1] }], 2), /a turn needs a question/);
  const [half] = [packTurns([0], [{ question: [5], answer: [6, 7], unscored: [0] }], 2)];
  assert.deepEqual(
    [half.ids, half.labels.slice(2)],
    [
      [0, 5, 6, 7, 2],
      [IGNORE, 7, 2],
    ],
    'read, but not scored',
  );
  assert.throws(
    () => scoredRows(model.network, [plainRow({ ids: [0, 1], labels: [IGNORE, IGNORE] })]),
    /nothing .* is scored/,
  );
  model.dispose();
});

test("the mini configuration holds the mini world's words and is of the size that it says", () => {
  const text = loadTokenizer();
  const words = Array.from({ length: text.vocabularySize }, (_, id) => text.tokenOf(id) ?? '');
  const id = (token: string) => text.idOf(token) ?? -1;
  const config = chameleonMini(words, { bos: id('[BOS]'), eos: id('[EOS]'), pad: id('[PAD]'), separator: id('[SEP]') });
  const v = chameleonVocabulary(config);
  assert.deepEqual(
    [v.boi, v.separator, v.idOfCode[0], v.size],
    [words.length, id('[SEP]'), words.length + 3, words.length + 3 + 4096],
  );
  const count = (specs: Record<string, { shape: readonly number[] }>) =>
    Object.values(specs).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const [language, imageTokenizer] = [
    count(expectedTensors(new ChameleonLayers(config.text))),
    count(expectedTensors(new Vqgan(config.vq))),
  ];
  assert.ok(
    Math.abs(language - 6.2e6) < 5e4 && Math.abs(imageTokenizer - 2.4e6) < 5e4,
    `${language} and ${imageTokenizer} parameters`,
  );
});

test('codes that lie close together start with rows that lie close together, text rows stay', () => {
  const model = tinyModel();
  const { idOfCode } = model.network.vocabulary;
  const entries = new Rng(1).normal(11 * 3);
  entries.set(
    entries.slice(0, 3).map((x) => x + 1e-3),
    3,
  );
  tf.tidy(() => (model.imageTokenizer.vqgan.codebook as tf.Variable<tf.Rank.R2>).assign(tf.tensor2d(entries, [11, 3])));
  const before = tf.tidy(() => model.store.get('lm_head.weight').arraySync()) as number[][];
  const tensors = tf.memory().numTensors;
  startCodesFromCodebook(model, new Rng(2), 0.95);
  assert.equal(tf.memory().numTensors, tensors);
  const rows = tf.tidy(() => model.store.get('lm_head.weight').arraySync()) as number[][];
  const distance = (a: number, b: number) => Math.hypot(...rows[idOfCode[a]].map((x, i) => x - rows[idOfCode[b]][i]));
  const others = Array.from({ length: 9 }, (_, k) => distance(0, k + 2)).sort((a, b) => a - b);
  assert.ok(distance(0, 1) < others[4], `${distance(0, 1)} and ${others}`);
  assert.deepEqual(rows[50], before[50]);
  model.dispose();
});
