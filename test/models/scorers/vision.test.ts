import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { openSafetensors, type Image, readSafetensors, writeSafetensors } from '../../../src/io';
import { Dinov2, dinov2ConfigFromUpstream } from '../../../src/models/scorers/dinov2';
import { Vit, vitConfigFromUpstream } from '../../../src/models/scorers/vit';
import { writeCheckpoint } from './checkpoint';

const vitJson = {
  model_type: 'vit',
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 40,
  image_size: [16, 24],
  patch_size: 8,
};
const dinoJson = {
  model_type: 'dinov2',
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  mlp_ratio: 4,
  use_swiglu_ffn: true,
  image_size: 28,
  patch_size: 14,
};
const folders: string[] = [];

function pixels(...shape: [number, number, number, number]): tf.Tensor4D {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor4d(new Rng(7).normal(size), shape);
}

function image(width: number, height: number, seed: number): Image {
  const values = new Rng(seed).uniform(width * height * 3);
  return { width, height, rgb: Uint8Array.from(values, (v) => Math.floor(256 * v)) };
}

describe("DINO's vision transformers", () => {
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
  });
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  it('loads what it saved, bit for bit, frozen, from one file and from shards', async () => {
    const config = vitConfigFromUpstream(vitJson, 'config.json', ['pooler.dense.weight', 'embeddings.mask_token']);
    assert.deepEqual([config.grid, config.pooler], [[2, 3], { size: 24, activation: 'tanh' }]);
    const made = Vit.random(config, new Rng(1));
    const folder = await writeCheckpoint(made.parameters, vitJson);
    folders.push(folder);
    const x = pixels(2, 16, 24, 3);
    const numbers = (model: Vit): Float32Array => readValues(() => model.forward(x).poolerOutput as tf.Tensor2D);
    const expected = numbers(made);
    assert.equal(expected.length, 2 * 24);
    for (const sharded of [false, true]) {
      if (sharded) {
        const tensors = await readSafetensors(path.join(folder, 'model.safetensors'));
        await writeSafetensors(path.join(folder, 'model.safetensors'), tensors, { shardBytes: 8000 });
        const reader = await openSafetensors(folder);
        assert.ok(new Set([...reader.tensors.values()].map(({ file }) => file)).size > 1);
        await reader.close();
      }
      const loaded = await Vit.fromPretrained(folder);
      assert.deepEqual(numbers(loaded), expected);
      assert.ok(Object.values(loaded.parameters.variables).every((variable) => !variable.trainable));
      loaded.dispose();
    }
    x.dispose();
    made.dispose();
  });

  it('leaves a head on top out, with and without the prefix it brings', async () => {
    const made = Vit.random(vitConfigFromUpstream(vitJson, 'config.json'), new Rng(2));
    const folder = await writeCheckpoint(made.parameters, vitJson, (name) => `vit.${name}`);
    folders.push(folder);
    const file = path.join(folder, 'model.safetensors');
    const head = { dtype: 'F32' as const, shape: [5], data: new Float32Array(5) };
    await writeSafetensors(file, { ...(await readSafetensors(file)), 'classifier.bias': head });
    const loaded = await Vit.fromPretrained(folder);
    assert.equal(loaded.config.pooler, undefined);
    const x = pixels(1, 16, 24, 3);
    const [got, want] = [loaded, made].map((model) => readValues(() => model.classFeatures(x)));
    assert.deepEqual(got, want);
    x.dispose();
    loaded.dispose();
    made.dispose();
  });

  it('lists every tensor that is missing, unknown or of another shape, and every field at fault', async () => {
    const made = Dinov2.random(dinov2ConfigFromUpstream(dinoJson, 'config.json'), new Rng(3));
    const folder = await writeCheckpoint(made.parameters, dinoJson, (name) =>
      name === 'layernorm.bias' ? 'norm.bias' : name,
    );
    folders.push(folder);
    const start = tf.memory().numTensors;
    await writeFile(path.join(folder, 'config.json'), JSON.stringify({ ...dinoJson, image_size: 42 }));
    await assert.rejects(Dinov2.fromPretrained(folder), (error: Error) => {
      assert.equal(error.name, 'CheckpointMismatchError');
      for (const part of ['layernorm.bias', 'norm.bias', 'position_embeddings', '[1,10,24]', '[1,5,24]'])
        assert.ok(error.message.replaceAll(', ', ',').includes(part), error.message);
      return true;
    });
    const wrong = { ...dinoJson, model_type: 'vit', num_attention_heads: 5, hidden_act: 'gulp', image_size: 'big' };
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(wrong));
    await assert.rejects(Dinov2.fromPretrained(folder), (error: Error) => {
      for (const part of ['model_type is "vit"', 'not divisible', '"gulp"', 'image_size is "big"', 'config.json'])
        assert.ok(error.message.includes(part), error.message);
      return true;
    });
    assert.equal(tf.memory().numTensors, start);
    made.dispose();
  });

  it('reads the feed-forward width, the mask token and two numbers for a size', () => {
    const config = dinov2ConfigFromUpstream({ ...dinoJson, use_mask_token: false, patch_size: [14, 7] }, 'config.json');
    assert.equal(config.intermediate, 64); // 24 * 4 = 96, two thirds, a multiple of 8
    assert.equal(config.maskToken, undefined);
    assert.deepEqual(config.grid, [2, 4]);
    assert.deepEqual(config.patch, [14, 7]);
    assert.equal(dinov2ConfigFromUpstream({ ...dinoJson, use_swiglu_ffn: false }, 'config.json').intermediate, 96);
    assert.equal(vitConfigFromUpstream({}, 'config.json').hidden, 768);
  });

  it('takes other sizes when told, DINOv2 always, and says what it cannot take', () => {
    const vit = Vit.random(vitConfigFromUpstream(vitJson, 'config.json'), new Rng(4));
    const dino = Dinov2.random(dinov2ConfigFromUpstream(dinoJson, 'config.json'), new Rng(4));
    const [own, big, grey, tiny] = [
      pixels(1, 16, 24, 3),
      pixels(1, 35, 30, 3),
      pixels(1, 16, 24, 1),
      pixels(1, 7, 30, 3),
    ];
    assert.throws(() => vit.forward(big), /expected pixels \[batch, 16, 24, 3\], got \[1,35,30,3\]; .* interpolate/);
    assert.throws(() => vit.forward(grey), /expected pixels \[batch, height, width, 3\], got \[1,16,24,1\]/);
    assert.throws(() => dino.forward(tiny), /hold no whole patch of 14 x 14/);
    tf.tidy(() => {
      assert.deepEqual(vit.forward(big, { interpolatePositions: true }).lastHiddenState.shape, [1, 1 + 4 * 3, 24]);
      assert.deepEqual(dino.forward(big).lastHiddenState.shape, [1, 1 + 2 * 2, 24]);
      assert.deepEqual(vit.patchFeatures(own).shape, [1, 6, 24]);
    });
    tf.dispose([own, big, grey, tiny]);
    vit.dispose();
    dino.dispose();
  });

  it('gives an image the same feature alone and in a batch, and leaks nothing', async () => {
    const json = { image_processor_type: 'ViTImageProcessor', size: { height: 16, width: 24 } };
    const made = Vit.random(vitConfigFromUpstream(vitJson, 'config.json'), new Rng(5));
    const folder = await writeCheckpoint(made.parameters, vitJson);
    folders.push(folder);
    await writeFile(path.join(folder, 'preprocessor_config.json'), JSON.stringify(json));
    const model = await Vit.fromPretrained(folder);
    const images = [image(30, 20, 1), image(8, 50, 2), image(24, 16, 3)];
    const start = tf.memory().numTensors;
    const together = await model.embed(images, 2);
    assert.equal(tf.memory().numTensors, start);
    const lengths = together.map((v) => v.length);
    assert.deepEqual(lengths, [24, 24, 24]);
    for (const [i, one] of images.entries()) {
      const [alone] = await model.embed([one]);
      assert.ok(alone.every((v, j) => Math.abs(v - together[i][j]) < 1e-5));
    }
    assert.ok(together[0].some((v, j) => Math.abs(v - together[1][j]) > 1e-3));
    assert.deepEqual(await model.embed([]), []);
    await assert.rejects(model.embed(images, 0), /batch of 0/);
    await assert.rejects(model.embed([{ ...images[0], width: 7 }]), /needs 420 bytes of RGB, got 1800/);
    const x = pixels(1, 16, 24, 3);
    const counted = tf.memory().numTensors;
    const { hiddenStates = [], lastHiddenState } = model.forward(x, { hiddenStates: true });
    assert.equal(hiddenStates.length, 3);
    assert.equal(tf.memory().numTensors, counted + 4);
    tf.dispose([x, lastHiddenState, [...hiddenStates]]);
    model.dispose();
    made.dispose();
  });
});
