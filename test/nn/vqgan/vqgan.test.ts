import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { startEngine, Rng, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { CheckpointMismatchError } from '../../../src/nn/checkpoint-fit';
import { attentionLevels } from '../../../src/nn/image-coder';
import { expectedTensors, ParamStore } from '../../../src/nn/store';
import { Vqgan, type VqganConfig, type VqganLayout } from '../../../src/nn/vqgan';
import { codebookEntries, nearestCodes, quantize } from '../../../src/nn/vqgan-codebook';

const PARITY = path.join(__dirname, '..', '..', 'parity');
const SMALL: VqganConfig = {
  ch: 8,
  ch_mult: [1, 2],
  num_res_blocks: [0, 1],
  decoder_res_blocks: [1, 1],
  z_channels: 6,
  embed_dim: 4,
  n_embed: 10,
  attn_levels: [1],
  norm_groups: 4,
};

/** One with random weights. */
function random(config: VqganConfig & VqganLayout): { net: Vqgan; store: ParamStore } {
  const net = new Vqgan(config);
  const store = ParamStore.random(net, new Rng(3));
  return { net: net.with(store), store };
}

const namesOf = (config: VqganConfig): string[] => Object.keys(expectedTensors(new Vqgan(config)));

before(() => startEngine({ precision: 'float32', quiet: true }));

const nhwc = (raw: RawTensor) =>
  tf.tidy<tf.Tensor4D>(() =>
    tf.transpose(tf.tensor4d(toFloat32(raw), [...raw.shape] as [number, number, number, number]), [0, 2, 3, 1]),
  );
const nchw = (x: tf.Tensor) => tf.transpose(x, [0, 3, 1, 2]).dataSync<'float32'>();

function worst(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(got.length, expected.length);
  return Array.from(got).reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
}

describe('the published layout', () => {
  for (const name of ['chameleon', 'chameleon_mp']) {
    test(`gives the reference's codes and pixels: ${name}`, async () => {
      const at = (...parts: string[]) => path.join(PARITY, name, ...parts);
      const upstream = JSON.parse(readFileSync(at('vqgan', 'config.json'), 'utf8')) as {
        n_embed: number;
        embed_dim: number;
        ddconfig: { ch: number; ch_mult: number[]; num_res_blocks: number; z_channels: number };
      };
      const { ch, ch_mult, num_res_blocks, z_channels } = upstream.ddconfig;
      const { n_embed, embed_dim } = upstream;
      const config = { ch, ch_mult, num_res_blocks, z_channels, n_embed, embed_dim };
      const file = at('vqgan', 'model.safetensors');
      const layers = new Vqgan(config);
      const store = ParamStore.fromTensors(layers, await readSafetensors(file), file);
      const tokenizer = layers.with(store);
      const inputs = await readSafetensors(at('inputs.safetensors'));
      const expected = await readSafetensors(at('expected.safetensors'));
      const start = tf.memory().numTensors;
      tf.tidy(() => {
        const pixels = nhwc(inputs.pixel_values);
        const hidden = tokenizer.hidden(pixels);
        assert.ok(worst(nchw(hidden), toFloat32(expected.vq_encoder_hidden)) < 1e-4);
        assert.ok(worst(nchw(tokenizer.encodeContinuous(pixels)), toFloat32(expected.vq_prequant)) < 1e-4);
        assert.deepEqual(
          Array.from(tokenizer.encode(pixels).dataSync()),
          Array.from(toFloat32(expected.vq_encode_indices)),
        );
        const codes = Array.from(toFloat32(inputs.codes));
        const rows = [codes.slice(0, codes.length / 2), codes.slice(codes.length / 2)];
        assert.ok(worst(nchw(tokenizer.decode(rows)), toFloat32(expected.vq_decode_pixels)) < 1e-3);
      });
      assert.equal(tf.memory().numTensors, start);
      store.dispose();
    });
  }

  test('attention stands at the levels whose side is listed', () => {
    assert.deepEqual(attentionLevels(512, 5, [32, 256]), [1, 4]);
    assert.deepEqual(attentionLevels(512, 5, null), []);
    const names = namesOf({ ...SMALL, first_up: 'coarsest' });
    for (const name of [
      'encoder.down.1.attn.0.q.weight',
      'decoder.up.0.attn.0.q.weight',
      'decoder.up.0.upsample.conv.bias',
    ])
      assert.ok(names.includes(name), name);
    assert.ok(!names.includes('decoder.up.1.attn.0.q.weight'));
    assert.ok(!namesOf({ ...SMALL, mid_attention: false }).some((name) => name.includes('mid.attn')));
  });
});

describe('the codebook', () => {
  test('the nearest code is the one that a plain search finds, by distance and by angle', () => {
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (seed, l2) => {
        const rng = new Rng(seed);
        const [rows, codes, dim] = [7, 9, 3];
        const z = rng.normal(rows * dim);
        const e = rng.normal(codes * dim);
        const unit = (x: Float32Array, i: number) => {
          const v = Array.from(x.slice(i * dim, (i + 1) * dim));
          return l2 ? v.map((c) => c / Math.hypot(...v)) : v;
        };
        const distance = (i: number, k: number) => unit(z, i).reduce((sum, c, d) => sum + (c - unit(e, k)[d]) ** 2, 0);
        const got = tf.tidy(() =>
          nearestCodes(tf.tensor2d(z, [rows, dim]), tf.tensor2d(e, [codes, dim]), l2).dataSync(),
        );
        for (let i = 0; i < rows; i++)
          for (let k = 0; k < codes; k++) assert.ok(distance(i, got[i]) <= distance(i, k) + 1e-5);
      }),
      { numRuns: 30 },
    );
  });

  test('entries of length 1 under L2 normalisation; codes outside the codebook are an error', () => {
    tf.tidy(() => {
      const codebook = tf.tensor2d([3, 4, 0, 2], [2, 2]);
      assert.ok(worst(codebookEntries(codebook, [0, 1], true).dataSync(), [0.6, 0.8, 0, 1]) < 1e-6);
      assert.deepEqual(Array.from(codebookEntries(codebook, [1]).dataSync()), [0, 2]);
      assert.throws(() => codebookEntries(codebook, [0, 2]), /image code 2 at position 1 is outside 0\.\.1/);
      assert.throws(() => nearestCodes(tf.zeros([1, 3]), codebook), /latents \[1,3\] do not fit entries \[2,2\]/);
    });
  });

  test('straight through: the gradient of the entries reaches the latents unchanged, the loss pulls both', () => {
    tf.tidy(() => {
      const z = tf.variable(tf.tensor4d([0.9, 0.1], [1, 1, 1, 2]));
      const codebook = tf.variable(tf.tensor2d([1, 0, 0, 1], [2, 2]));
      const weight = tf.tensor4d([2, -3], [1, 1, 1, 2]);
      const through = tf.variableGrads(
        () => tf.sum<tf.Scalar>(tf.mul(quantize(z as tf.Tensor4D, codebook as tf.Tensor2D).entries, weight)),
        [z],
      );
      assert.deepEqual(Array.from(through.grads[z.name].dataSync()), [2, -3]);
      const pull = tf.variableGrads(() => quantize(z, codebook).loss, [z, codebook]);
      // e - z = (0.1, -0.1): mean square 0.01, times 1 + 0.25
      assert.ok(Math.abs(pull.value.dataSync()[0] - 0.0125) < 1e-6);
      assert.ok(worst(pull.grads[z.name].dataSync(), [-0.1, 0.1]) < 1e-6);
      assert.ok(worst(pull.grads[codebook.name].dataSync(), [0.025, -0.025, 0, 0]) < 1e-6);
      z.dispose();
      codebook.dispose();
    });
  });
});

describe('the tokenizer', () => {
  test('a training pass reaches every parameter and leaks nothing', () => {
    for (const l2_norm of [false, true]) {
      const { net: tokenizer, store } = random({ ...SMALL, l2_norm });
      const pixels = tf.tensor<tf.Rank.R4>(new Rng(2).uniform(2 * 4 * 4 * 3), [2, 4, 4, 3]);
      const { variables } = store;
      const pass = () => {
        const { value, grads } = tf.variableGrads(() => {
          const out = tokenizer.reconstruct(pixels);
          return tf.add<tf.Scalar>(tf.mean(tf.square(tf.sub(out.pixels, pixels))), out.loss);
        }, Object.values(variables));
        const silent = Object.entries(variables).filter(
          ([, v]) => Math.max(...tf.tidy(() => tf.abs(grads[v.name]).dataSync())) === 0,
        );
        tf.dispose([value, grads]);
        return silent.map(([name]) => name);
      };
      // A key's bias shifts all scores of a row alike: softmax does not see it.
      assert.deepEqual(
        pass().filter((name) => !name.endsWith('.k.bias')),
        [],
      );
      const start = tf.memory().numTensors;
      for (let i = 0; i < 3; i++) pass();
      assert.equal(tf.memory().numTensors, start);
      pixels.dispose();
      store.dispose();
    }
  });

  test('encoded cell by cell, a cell has one code wherever it stands and whatever stands beside it', () => {
    const { net: tokenizer, store } = random({ ...SMALL, cell_encoder: true });
    tf.tidy(() => {
      const cells = tf.tensor<tf.Rank.R4>(new Rng(5).normal(6 * 2 * 2 * 3), [6, 2, 2, 3]);
      const alone = Array.from(tokenizer.encode(cells).dataSync());
      assert.ok(new Set(alone).size > 2, `${alone}`);
      // 2 x 3 cells in another order
      const order = [4, 0, 5, 2, 1, 3];
      const rows = [order.slice(0, 3), order.slice(3)].map((row) =>
        tf.concat(
          row.map((cell) => tf.slice(cells, [cell, 0, 0, 0], [1, 2, 2, 3])),
          2,
        ),
      );
      const image = tf.concat<tf.Tensor4D>(rows, 1);
      const codes = Array.from(tokenizer.encode(image).dataSync());
      assert.deepEqual(
        codes,
        order.map((cell) => alone[cell]),
      );
      const whole = new Vqgan(SMALL).with(store);
      const difference = tf.sub(whole.encodeContinuous(image), tokenizer.encodeContinuous(image));
      assert.ok(tf.max(tf.abs(difference)).dataSync()[0] > 1e-3, 'the published encoder sees the neighbours');
    });
    assert.throws(() => tokenizer.encode(tf.zeros([1, 5, 6, 3])), /divisible by 2, got \[1,5,6,3\]/);
    store.dispose();
  });

  test('rectangles, wrong shapes and impossible configurations', () => {
    const { net: tokenizer, store } = random(SMALL);
    tf.tidy(() => {
      assert.deepEqual(tokenizer.encode(tf.zeros([1, 4, 6, 3])).shape, [1, 6]);
      assert.deepEqual(tokenizer.decode([[0, 1, 2, 3, 4, 9]], [2, 3]).shape, [1, 4, 6, 3]);
    });
    assert.throws(() => tokenizer.decode([[0, 1, 2]], [2, 2]), /image 0 has 3 codes; 2 x 2 were expected/);
    assert.throws(() => tokenizer.encode(tf.zeros([1, 5, 6, 3])), /divisible by 2, got \[1,5,6,3\]/);
    assert.throws(
      () => tokenizer.decodeEntries(tf.zeros([1, 2, 2, 5])),
      /\[batch, rows, columns, 4\], got \[1,2,2,5\]/,
    );
    store.dispose();
    const bad = (change: Partial<VqganConfig>) => new Vqgan({ ...SMALL, ...change });
    assert.throws(() => bad({ ch: 6 }), /level 0 has 6 channels, expected a multiple of norm_groups 4/);
    assert.throws(() => bad({ num_res_blocks: [1] }), /num_res_blocks \[1\] must give a whole number for each of 2/);
    assert.throws(() => bad({ attn_levels: [2] }), /attn_levels names level 2; there are 2/);
    assert.throws(() => bad({ n_embed: 0 }), /n_embed is 0, expected a positive integer/);
  });

  test('without a decoder it encodes, and says what is missing; what does not fit is listed at once', async () => {
    const { net: whole, store } = random(SMALL);
    const { net: encoder, store: encoderStore } = random({ ...SMALL, parts: 'encoder' });
    tf.tidy(() => {
      const pixels = tf.tensor<tf.Rank.R4>(new Rng(2).uniform(48), [1, 4, 4, 3]);
      assert.deepEqual(encoder.encode(pixels).arraySync(), whole.encode(pixels).arraySync());
      assert.throws(() => encoder.decode([[0, 1, 2, 3]]), /has no decoder.*vqgan\//);
    });
    const values = await store.values();
    const tensors: Record<string, RawTensor> = {};
    for (const [name, value] of Object.entries(values)) tensors[name] = { dtype: 'F32', ...value };
    delete tensors['quant_conv.bias'];
    assert.throws(
      () => ParamStore.fromTensors(new Vqgan({ ...SMALL, parts: 'encoder' }), tensors, 'a file'),
      (error: Error) =>
        error instanceof CheckpointMismatchError &&
        /missing: quant_conv\.bias/.test(error.message) &&
        /unknown: decoder\.conv_in\.weight/.test(error.message),
    );
    for (const owner of [store, encoderStore]) owner.dispose();
  });
});
