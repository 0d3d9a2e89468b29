import assert from 'node:assert/strict';
import * as path from 'node:path';
import { before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import type { Image } from '../../src/io';
import { DreamSim, type DreamSimBackbone, type DreamSimBackboneName } from '../../src/models/scorers/dreamsim';
import { comparedVectors, cosineDistances } from '../../src/models/scorers/dreamsim/distance';
import { imageGrid } from '../../src/models/scorers/vision/tokens';
import { dreamSimName, dreamSimSimilarity } from '../../src/rewards';
import { sampleOf } from './sample';

const fixture = path.join(__dirname, '../parity/dreamsim');

function picture(seed: number, width = 20, height = 12): Image {
  const values = new Rng(seed).uniform(width * height * 3);
  return { width, height, rgb: Uint8Array.from(values, (v) => Math.floor(256 * v)) };
}

function backbone(name: DreamSimBackboneName, side = 16, patch = 8): DreamSimBackbone {
  const output = name === 'dino_vitb16' ? {} : { output: 6 };
  const size = { hidden: 8, layers: 2, heads: 2, intermediate: 16, eps: 1e-6, activation: 'gelu' };
  return { name, ...size, ...imageGrid([side, side], [patch, patch], 3), ...output };
}

function close(got: ArrayLike<number>, expected: readonly number[]): void {
  assert.equal(got.length, expected.length);
  expected.forEach((e, i) => assert.ok(Math.abs(got[i] - e) < 1e-6, `${i}: ${got[i]}, expected ${e}`));
}

describe("DreamSim's distance", () => {
  before(() => startEngine({ precision: 'float32', quiet: true }));

  it('is 1 - cosine, of centered features 1 - correlation', () => {
    // Cosine of (1, 2, 3) and (3, 2, 1): 10 / 14. Without their means (-1, 0, 1) and (1, 0, -1): -1.
    const [a, b] = [tf.tensor2d([[1, 2, 3]]), tf.tensor2d([[3, 2, 1]])];
    const distance = (normalize: boolean) =>
      tf.tidy(() => cosineDistances(comparedVectors(a, normalize), comparedVectors(b, normalize)).dataSync());
    close(distance(false), [1 - 10 / 14]);
    close(distance(true), [2]);
    tf.dispose([a, b]);
  });

  it('compares tokens by the class token and the mean of the patches, each centered before', () => {
    const root = Math.SQRT1_2;
    const tokens = tf.tensor3d([
      [
        [4, 2],
        [1, 3],
        [5, 1],
        [9, 7],
      ],
    ]);
    const [raw, own] = tf.tidy(() => [false, true].map((normalize) => comparedVectors(tokens, normalize).dataSync()));
    close(raw, [4, 2, 5, 11 / 3]);
    close(own, [root, -root, root / 3, -root / 3]);
    tokens.dispose();
  });

  it('is 0 for equal images, and the same from either side', () => {
    const start = tf.memory().numTensors;
    const backbones = (['dino_vitb16', 'clip_vitb16', 'open_clip_vitb16'] as const).map((name) => backbone(name));
    const model = DreamSim.random({ backbones, patches: false }, new Rng(1));
    const [a, b] = [model.process([picture(1)]), model.process([picture(2, 9, 30)])];
    close(model.distance(a, a), [0]);
    assert.ok(model.distance(a, b)[0] > 1e-4);
    close(model.distance(a, b), [model.distance(b, a)[0]]);
    const features = model.features(a);
    assert.deepEqual(features.shape, [1, 8 + 6 + 6]);
    tf.dispose([a, b, features]);
    model.dispose();
    assert.equal(tf.memory().numTensors, start);
  });

  it('says which backbones do not go together, and which weights do not fit', async () => {
    const random = (backbones: DreamSimBackbone[], patches = false) =>
      DreamSim.random({ backbones, patches }, new Rng(1));
    assert.throws(() => random([]), /needs a backbone/);
    assert.throws(
      () => random([backbone('dino_vitb16'), backbone('clip_vitb16', 24)]),
      /images of one size, got dino_vitb16 16 x 16, clip_vitb16 24 x 24/,
    );
    assert.throws(() => random([backbone('clip_vitb16')], true), /patches of one DINO backbone/);
    const start = tf.memory().numTensors;
    const weights = path.join(fixture, 'dino_vitb16_pretrain.safetensors');
    const load = (name: DreamSimBackboneName, adapters?: string) =>
      DreamSim.load({ backbones: [{ name, weights }], heads: 2, adapters });
    await assert.rejects(load('clip_vitb16'), /clip_vitb16 needs proj with 2 axes, found none/);
    await assert.rejects(load('dino_vitb16', path.join(fixture, 'ensemble_lora')), /unknown: .*extractor_list\.1/);
    assert.equal(tf.memory().numTensors, start);
  });
});

describe('DreamSim similarity', () => {
  const config = { backbones: [backbone('dino_vitb16')], patches: false };

  it('is 1 - distance, the mean over references', async () => {
    const [a, b, c] = [picture(1), picture(2), picture(3)];
    const vectors = new Map([
      [a, Float32Array.of(1, 0)],
      [b, Float32Array.of(3, 4)],
      [c, Float32Array.of(-2, 0)],
    ]);
    const embed = (images: readonly Image[]) =>
      Promise.resolve(images.map((image) => vectors.get(image) ?? new Float32Array(2)));
    const reward = dreamSimSimilarity({ config, variant: 'dino_vitb16', embed });
    const samples = [
      { image: a, references: [b] },
      { image: a, references: [b, c] },
      { image: a, references: [] },
      { references: [a] },
    ].map(sampleOf);
    const scores = await reward(samples);
    close(
      scores.slice(0, 2).map(({ value }) => value),
      [0.6, (0.6 - 1) / 2],
    );
    assert.match(scores[2].reason ?? '', /nothing to compare with/);
    assert.match(scores[3].reason ?? '', /there is no image/);
    assert.deepEqual([reward.range, reward.higherIsBetter], [[-1, 1], true]);
  });

  it('agrees with the distance of the model', async () => {
    const model = DreamSim.random(config, new Rng(4));
    const [a, b] = [picture(5), picture(6)];
    const [{ value }] = await dreamSimSimilarity(model)([sampleOf({ image: a, references: [b] })]);
    const pixels = [a, b].map((image) => model.process([image]));
    assert.ok(Math.abs(value - (1 - model.distance(pixels[0], pixels[1])[0])) < 1e-5);
    tf.dispose(pixels);
    model.dispose();
  });

  it('is named after its backbones, and their shape unless it is the published one', () => {
    const large = { ...backbone('dino_vitb16', 224, 16), hidden: 768, layers: 12, heads: 12 };
    const name = (backbones: DreamSimBackbone[], variant: string) =>
      dreamSimName({ config: { backbones, patches: false }, variant });
    assert.equal(name([large], 'dino_vitb16'), 'dreamsim_dino_vitb16');
    assert.equal(name([backbone('dino_vitb16')], 'dino_vitb16'), 'dreamsim_dino_vitb16_8x2_p8');
    const three = (['dino_vitb16', 'clip_vitb16', 'open_clip_vitb16'] as const).map((one) => backbone(one));
    const models = [
      DreamSim.random({ backbones: three, patches: false }, new Rng(1)),
      DreamSim.random({ backbones: three.slice(0, 1), patches: true }, new Rng(1)),
    ];
    assert.deepEqual(
      models.map(({ variant }) => variant),
      ['ensemble', 'dino_vitb16_patch'],
    );
    models.forEach((model) => model.dispose());
  });
});
