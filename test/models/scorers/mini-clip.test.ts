import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { hasHeldOut, isHeldOut, loadSprites, type SpriteSheet } from '../../../src/miniworld';
import { startEngine, Rng, tf } from '../../../src/engine';
import { dataFolder } from '../../../src/io/package-root';
import { MiniClip } from '../../../src/models/scorers/mini-clip';
import { captionFor, isTrueOf, sampleDepictedScene, variantOf } from '../../../src/miniworld/lessons/captions';
import { clipBatch, clipLoss } from '../../../src/miniworld/lessons/clip-task';
import { evaluateClip } from '../../../src/miniworld/evaluation/scorers';

describe('mini_clip', () => {
  let sprites: SpriteSheet;
  let folder: string;
  before(async () => {
    await startEngine({ quiet: true });
    sprites = await loadSprites();
    folder = mkdtempSync(path.join(os.tmpdir(), 'mini-clip-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is taught true captions that name nothing held out', () => {
    const clip = MiniClip.random(new Rng(1));
    for (let i = 0; i < 300; i++) {
      const rng = new Rng(5).split(i);
      const depicted = sampleDepictedScene(rng, sprites);
      for (const each of [depicted, variantOf(depicted, rng)]) {
        assert.ok(!hasHeldOut(each.scene));
        const caption = captionFor(each, rng);
        assert.ok(isTrueOf(caption, each), caption.text);
        clip.text.encode(caption.text); // every word is known
        for (const figure of caption.figures) {
          const [color, object] = figure.split(' ');
          assert.ok(!isHeldOut(object, color), caption.text);
        }
      }
    }
    clip.dispose();
  });

  it('knows a false caption: most variants make the first caption untrue', () => {
    let untrue = 0;
    for (let i = 0; i < 100; i++) {
      const rng = new Rng(6).split(i);
      const depicted = sampleDepictedScene(rng, sprites);
      const caption = captionFor(depicted, rng);
      if (!isTrueOf(caption, variantOf(depicted, rng))) untrue++;
    }
    assert.ok(untrue > 75 && untrue < 100, `${untrue} of 100`); // some captions leave out what differs
  });

  it('gives every parameter a gradient, and learns', () => {
    const clip = MiniClip.random(new Rng(1));
    const batch = clipBatch(clip, sprites, [], { groups: 4, variants: 3, pool: 0 }, new Rng(2));
    assert.deepEqual(batch.pixels.shape, [12, 64, 64, 3]);
    const variables = Object.values(clip.parameters.variables);
    const { value, grads } = tf.variableGrads(() => clipLoss(clip, batch).loss, variables);
    for (const [name, variable] of Object.entries(clip.parameters.variables)) {
      const size = tf.tidy(() => tf.sum(tf.abs(grads[variable.name])).dataSync()[0]);
      assert.ok(Number.isFinite(size), name);
      // Attention does not depend on a constant added to all keys.
      if (!name.endsWith('attn.k.bias')) assert.ok(size > 0, name);
    }
    const start = value.dataSync()[0];
    const optimizer = tf.train.adam(1e-3);
    for (let step = 0; step < 12; step++) optimizer.minimize(() => clipLoss(clip, batch).loss, false, variables);
    const end = tf.tidy(() => clipLoss(clip, batch).loss.dataSync()[0]);
    assert.ok(end < 0.9 * start, `${start} -> ${end}`);
    tf.dispose([value, grads, batch as unknown as tf.TensorContainer]);
    optimizer.dispose();
    clip.dispose();
  });

  it('embeds on the unit sphere, whatever stands beside in the batch, and leaks nothing', async () => {
    const clip = MiniClip.random(new Rng(3));
    await clip.save(folder);
    const loaded = await MiniClip.load(folder);
    const pixels = tf.tensor4d(new Rng(4).uniform(2 * 64 * 64 * 3), [2, 64, 64, 3]);
    const texts = ['a red car in the rain', 'a photo of <sks> beside a blue umbrella in the snow . <sks> is at night'];
    const kept = tf.memory().numTensors;
    const both = loaded.similarity(pixels, texts);
    const alone = texts.flatMap((text, i) =>
      tf.tidy(() => loaded.similarity(tf.slice(pixels, [i, 0, 0, 0], [1, -1, -1, -1]), [text])),
    );
    assert.equal(tf.memory().numTensors, kept);
    both.forEach((cosine, i) => {
      assert.ok(Math.abs(cosine) <= 1);
      assert.ok(Math.abs(cosine - alone[i]) < 2e-3, `${cosine} and ${alone[i]}`); // padding changes nothing but rounding
    });
    tf.tidy(() => {
      const lengths = tf.sum(tf.square(loaded.imageFeatures(pixels)), 1).dataSync();
      for (const length of lengths) assert.ok(Math.abs(length - 1) < 1e-4);
      const { patches, pooled } = loaded.patchFeatures(pixels);
      assert.deepEqual(patches.shape, [2, 64, 128]);
      assert.deepEqual(pooled.shape, [2, 256]);
    });
    assert.throws(() => loaded.similarity(pixels, ['a red car']), /2 images and 1 texts/);
    assert.throws(() => loaded.textFeatures([[]]), /caption 0 is empty/);
    assert.throws(() => loaded.textFeatures([new Array<number>(65).fill(7)]), /at most 64/);
    await assert.rejects(MiniClip.load(path.join(folder, 'absent')), /unilab train clip/);
    tf.dispose(pixels);
    clip.dispose();
    loaded.dispose();
  });

  it(
    'that ships prefers the true caption',
    { skip: !existsSync(dataFolder('checkpoints', 'mini-clip', 'config.json')) },
    async () => {
      const clip = await MiniClip.load();
      const metrics = await evaluateClip(clip, undefined, 128, 4712);
      assert.ok(metrics['real/choice'].value > 0.85, `choice ${metrics['real/choice'].value}`);
      assert.ok(metrics['real/retrieval'].value > 0.6, `retrieval ${metrics['real/retrieval'].value}`);
      clip.dispose();
    },
  );
});
