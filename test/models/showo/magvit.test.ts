import assert from 'node:assert/strict';
import path from 'node:path';
import { before, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { readSafetensors, toFloat32, type RawTensor } from '../../../src/io';
import { MagvitTokenizer, type MagvitConfig } from '../../../src/models/showo/image-tokenizer';
import { codebookEntries, codesOf, lfqLosses } from '../../../src/models/showo/lfq';
import { CheckpointMismatchError } from '../../../src/nn/checkpoint-fit';
import { maxDifference, PARITY, readJson, rowsOf } from './fixture';

let tokenizer: MagvitTokenizer;
let inputs: Record<string, RawTensor>;
let expected: Record<string, RawTensor>;

const nhwc = (raw: RawTensor) =>
  tf.tidy<tf.Tensor4D>(() =>
    tf.transpose(tf.tensor4d(toFloat32(raw), [...raw.shape] as [number, number, number, number]), [0, 2, 3, 1]),
  );
const nchw = (x: tf.Tensor) => tf.tidy(() => tf.transpose(x, [0, 3, 1, 2]).dataSync<'float32'>());

before(async () => {
  await startEngine({ precision: 'float32' });
  const file = path.join(PARITY, 'magvitv2', 'model.safetensors');
  tokenizer = MagvitTokenizer.fromTensors(
    readJson<MagvitConfig>('magvitv2', 'config.json'),
    await readSafetensors(file),
    file,
  );
  inputs = await readSafetensors(path.join(PARITY, 'magvitv2', 'inputs.safetensors'));
  expected = await readSafetensors(path.join(PARITY, 'magvitv2', 'expected.safetensors'));
});

test('encoder output, codes and losses equal upstream', () => {
  const pixels = nhwc(inputs.pixel_values);
  const z = tokenizer.encodeContinuous(pixels);
  assert.ok(maxDifference(nchw(z), toFloat32(expected.encoder_output)) < 1e-4);
  assert.deepEqual(Array.from(tokenizer.encode(pixels).dataSync()), Array.from(toFloat32(expected.encode_indices)));
  const losses = lfqLosses(tf.reshape<tf.Rank.R2>(z, [-1, tokenizer.config.codebook_dim]));
  assert.ok(Math.abs(losses.commitment.dataSync()[0] - toFloat32(expected.quantizer_loss)[0]) < 1e-5);
  assert.ok(Math.abs(losses.entropy.dataSync()[0] - toFloat32(expected.entropy_loss)[0]) < 1e-5);
});

test('decoded pixels equal upstream, rectangles too', () => {
  assert.ok(maxDifference(nchw(tokenizer.decode(rowsOf(inputs.codes))), toFloat32(expected.decode_pixels)) < 1e-3);
  assert.ok(
    maxDifference(nchw(tokenizer.decode(rowsOf(inputs.codes_rect), [2, 6])), toFloat32(expected.decode_pixels_shape)) <
      1e-3,
  );
  assert.ok(
    maxDifference(nchw(tokenizer.decode(rowsOf(expected.encode_indices))), toFloat32(expected.reconstruction)) < 1e-3,
  );
});

test('codes and entries are inverse', () => {
  const bits = 7;
  const codes = Array.from({ length: 128 }, (_, i) => i);
  assert.deepEqual(Array.from(codesOf(codebookEntries(codes, bits)).dataSync()), codes);
  assert.throws(() => codebookEntries([3, 128], bits), /image code 128 at position 1 is outside 0\.\.127/);
});

test('what does not fit is listed at once', async () => {
  const file = path.join(PARITY, 'magvitv2', 'model.safetensors');
  const tensors = { ...(await readSafetensors(file)) };
  tensors.stranger = tensors['encoder.conv_in.bias'];
  delete tensors['encoder.conv_in.bias'];
  assert.throws(
    () => MagvitTokenizer.fromTensors(tokenizer.config, tensors, 'a file'),
    (error: Error) =>
      error instanceof CheckpointMismatchError &&
      /missing: encoder\.conv_in\.bias/.test(error.message) &&
      /unknown: stranger/.test(error.message),
  );
  assert.throws(() => tokenizer.encode(tf.zeros([1, 15, 16, 3])), /divisible by 4, got \[1,15,16,3\]/);
});

test('a training pass gives every parameter a gradient and leaks nothing', () => {
  const pixels = tf.tensor<tf.Rank.R4>(new Rng(2).uniform(2 * 8 * 8 * 3), [2, 8, 8, 3]);
  const pass = () => {
    const { value, grads } = tf.variableGrads(() => {
      const out = tokenizer.reconstruct(pixels);
      return tf.addN([tf.mean(tf.square(tf.sub(out.pixels, pixels))), out.commitment, out.entropy]) as tf.Scalar;
    }, Object.values(tokenizer.parameters.variables));
    const silent = Object.entries(tokenizer.parameters.variables)
      .filter(([, v]) => !grads[v.name] || Math.max(...tf.abs(grads[v.name]).dataSync()) === 0)
      .map(([name]) => name);
    tf.dispose([value, grads]);
    return silent;
  };
  // A key's bias shifts all scores of a row alike: softmax does not see it.
  assert.deepEqual(
    pass().filter((name) => !name.endsWith('attn_1.k.bias')),
    [],
  );
  const before = tf.memory().numTensors;
  tf.tidy(() => pass());
  assert.equal(tf.memory().numTensors, before);
});

test('attention stands after the blocks of the levels whose side is listed, as upstream counts them', () => {
  const coder = { ch: 8, ch_mult: [1, 1, 1], num_res_blocks: [1, 2, 1], z_channels: 4, norm_groups: 4 };
  const withSides = (attn_resolutions: number[] | null) => {
    const half = { ...coder, attn_resolutions, resolution: 32 };
    return MagvitTokenizer.random({ encoder: half, decoder: half, codebook_dim: 4 }, new Rng(1));
  };
  const namesOf = (tokenizer: MagvitTokenizer) => tokenizer.parameters.names.filter((name) => /\.attn\./.test(name));
  const [plain, none, attentive] = [withSides(null), withSides([5]), withSides([16])];
  assert.deepEqual([namesOf(plain), namesOf(none)], [[], []]);
  const layers = [...new Set(namesOf(attentive).map((name) => name.split('.').slice(0, 5).join('.')))];
  assert.deepEqual(layers, [
    'encoder.down.1.attn.0',
    'encoder.down.1.attn.1',
    'decoder.up.1.attn.0',
    'decoder.up.1.attn.1',
  ]);
  const pixels = tf.tensor4d(new Rng(2).uniform(32 * 32 * 3), [1, 32, 32, 3]);
  const [before, after] = [plain, attentive].map((tokenizer) => tokenizer.encodeContinuous(pixels));
  assert.deepEqual(after.shape, [1, 8, 8, 4]);
  assert.notDeepEqual(before.dataSync(), after.dataSync());
  tf.dispose([pixels, before, after]);
  for (const tokenizer of [plain, none, attentive]) tokenizer.dispose();
});
