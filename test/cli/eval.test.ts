import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readCurve } from '../../src/miniworld/evaluation/curve';
import { Tally } from '../../src/miniworld/evaluation/metrics';
import { MINI_MODELS } from '../../src/miniworld/evaluation/mini-models';
import { evaluateMiniWorld } from '../../src/miniworld/evaluation/mini-world';
import { writeModelCard } from '../../src/miniworld/evaluation/model-card';
import { saveSheet } from '../../src/miniworld/evaluation/sheet';
import { command } from '../../src/cli/eval';
import { startEngine, Rng, tf } from '../../src/engine';
import { SceneDetector } from '../../src/miniworld/detector';
import { readImage } from '../../src/io';
import { MagvitTokenizer } from '../../src/models/showo/image-tokenizer';
import { MAGVIT_MINI, showoMini } from '../../src/miniworld/curricula/showo-config';
import { ShowoModel } from '../../src/models/showo/model';
import { miniText } from '../../src/miniworld/curricula/scenes';

const step = (n: number, loss: number) =>
  `${JSON.stringify({ step: n, loss, grad_norm: 1, learning_rate: 1e-3, t2i: loss, mmu: loss / 2, lm: 1, 'time/step': 2 })}\n`;

describe('unilab eval', () => {
  let folder: string;
  before(async () => {
    await startEngine({ quiet: true });
    folder = mkdtempSync(path.join(os.tmpdir(), 'eval-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('counts what applies, with intervals that a stream repeats', () => {
    const tally = new Tally();
    for (let i = 0; i < 40; i++) tally.addAll('a/', { right: i % 4 > 0, none: null, graded: 0.5 });
    const first = tally.metrics(new Rng(1));
    assert.deepEqual(first, tally.metrics(new Rng(1)));
    assert.deepEqual(Object.keys(first), ['a/right', 'a/graded']);
    const { value, ci95, n } = first['a/right'];
    assert.equal(value, 0.75);
    assert.equal(n, 40);
    assert.ok(ci95[0] < 0.7 && ci95[0] > 0.5 && ci95[1] > 0.8 && ci95[1] < 0.95, String(ci95));
  });

  it('measures a model that knows nothing as such, the same way twice, without a leak', async () => {
    const { text, bos, eos } = miniText();
    const imageTokenizer = MagvitTokenizer.random(MAGVIT_MINI, new Rng(1));
    const config = {
      ...showoMini(text.vocabularySize, bos, eos),
      hidden_size: 32,
      intermediate_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    };
    const model = ShowoModel.random(config, imageTokenizer, text, new Rng(2));
    const detector = SceneDetector.random(new Rng(3));
    const run = () => evaluateMiniWorld(model, { steps: 2 }, detector, { n: 3, seed: 5 });
    const first = await run();
    const kept = tf.memory().numTensors;
    const second = await run();
    assert.equal(tf.memory().numTensors, kept);
    assert.deepEqual(first.metrics, second.metrics);
    for (const name of ['object', 'color', 'count', 'background', 'exact', 'qa', 'facts', 'ceiling/object']) {
      const metric = first.metrics[name];
      assert.ok(metric.n >= 3 && metric.value >= 0 && metric.value <= 1, name);
    }
    assert.equal(first.metrics.exact.value, 0);
    const file = path.join(folder, 'sheet.png');
    await saveSheet(file, first.samples);
    const sheet = await readImage(file);
    assert.deepEqual([sheet.width, sheet.height], [512, 128]);
    assert.deepEqual([...sheet.rgb.subarray(0, 3)], [...first.samples[0].real.subarray(0, 3)]);
    model.dispose();
    detector.dispose();
  });

  it('writes a card from the scores and the curve of the run', async () => {
    const curveFile = path.join(folder, 'showo-cell-codes', 'metrics.jsonl');
    mkdirSync(path.dirname(curveFile));
    const lines = Array.from({ length: 300 }, (_, i) => step(i + 1, 6 - i / 100));
    writeFileSync(curveFile, lines.join('') + '{"step":3');
    const curve = await readCurve(curveFile);
    assert.equal(curve.steps, 300);
    assert.equal(curve.seconds, 600);
    assert.equal(curve.points.length, 100);
    assert.deepEqual(Object.keys(curve.points[0]).sort(), ['lm', 'loss', 'mmu', 'step', 't2i']);
    assert.ok(Math.abs(curve.points[0].t2i - 5.99) < 1e-6);
    const metrics = {
      object: { value: 0.5, ci95: [0.4, 0.6] as const, n: 10 },
      'ceiling/object': { value: 1, ci95: [1, 1] as const, n: 10 },
    };
    const report = { checkpoint: 'x', seed: 1, n: 10, metrics, settings: { split: 'heldout', steps: 8 } };
    await writeModelCard(MINI_MODELS.showo, folder, report, folder);
    const absent = path.join(folder, 'absent');
    await assert.rejects(
      writeModelCard(MINI_MODELS.showo, path.join(folder, 'showo-cell-codes'), report, absent),
      /--training FOLDER/,
    );
    const card = readFileSync(path.join(folder, 'README.md'), 'utf8');
    await writeModelCard(MINI_MODELS.showo, folder, report, absent);
    assert.equal(readFileSync(path.join(folder, 'README.md'), 'utf8'), card, 'what ran elsewhere stays on the card');
    assert.match(card, /\| object \| 50\.0 \| 40\.0 to 60\.0 \| 10 \|/);
    assert.match(card, /300 steps, 10 minutes/);
    assert.ok(!card.includes('NaN'));
    assert.match(readFileSync(path.join(folder, 'curve-showo-cell-codes.svg'), 'utf8'), /^<svg/);
    assert.equal(
      (JSON.parse(readFileSync(path.join(folder, 'curve-showo-cell-codes.json'), 'utf8')) as unknown[]).length,
      100,
    );
    await assert.rejects(readCurve(path.join(folder, 'none.jsonl')), /has no steps/);
  });

  it('says what was called wrongly', async () => {
    await assert.rejects(
      command.run([]),
      /say what to evaluate, first: unifybench, .*mini-geneval, .*mini-world, detector, clip/,
    );
    await assert.rejects(command.run(['mini-world', '--n', '0']), /--n needs a whole number of at least 1/);
    await assert.rejects(command.run(['mini-world', '--model', 'x']), /--model is showo, janus, chameleon, got 'x'/);
    await assert.rejects(command.run(['mini-world', '--split', 'test']), /heldout or train/);
    await assert.rejects(
      command.run(['detector', '--checkpoint', path.join(folder, 'absent')]),
      /unilab train detector/,
    );
  });
});
