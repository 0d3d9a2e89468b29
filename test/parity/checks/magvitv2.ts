/** Show-o's image tokenizer: encoder, codes, codebook, decoder, losses. */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { codebookEntries, lfqLosses, signs } from '../../../src/models/showo/lfq';
import { type MagvitConfig, MagvitTokenizer } from '../../../src/models/showo/image-tokenizer';
import { type Check, close, same } from './check';

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const at = (name: string): string => path.join(folder, name);
  const config = JSON.parse(await readFile(at('config.json'), 'utf8')) as MagvitConfig;
  const file = at('model.safetensors');
  const tokenizer = MagvitTokenizer.fromTensors(config, await readSafetensors(file), file);
  const inputs = await readSafetensors(at('inputs.safetensors'));
  const expected = await readSafetensors(at('expected.safetensors'));
  const want = (name: string): Float32Array => toFloat32(expected[name]);
  const pixels = toNhwc(inputs.pixel_values);
  const z = tokenizer.encodeContinuous(pixels);
  try {
    yield close('encode', 'encoder_output', toNchw(z), want('encoder_output'), 1e-4);
    yield same(
      'encode',
      'quantized',
      tf.tidy(() => toNchw(signs(z))),
      want('quantized'),
    );
    const indices = tf.tidy(() => tokenizer.encode(pixels).dataSync());
    yield same('encode', 'encode_indices', indices, want('encode_indices'));
    const [commitment, entropy] = tf.tidy(() => {
      const losses = lfqLosses(tf.reshape<tf.Rank.R2>(z, [-1, config.codebook_dim]));
      return [losses.commitment.dataSync()[0], losses.entropy.dataSync()[0]];
    });
    yield close('losses', 'quantizer_loss', [commitment], want('quantizer_loss'), 1e-4);
    yield close('losses', 'entropy_loss', [entropy], want('entropy_loss'), 1e-4);
    const [batch, bits, rows, columns] = expected.codebook_entry.shape;
    const entries = tf.tidy(() => {
      const flat = codebookEntries(toFloat32(inputs.codes), config.codebook_dim);
      return toNchw(tf.reshape(flat, [batch, rows, columns, bits]));
    });
    yield same('decode', 'codebook_entry', entries, want('codebook_entry'));
    for (const [codes, name] of [
      [inputs.codes, 'decode_pixels'],
      [inputs.codes_rect, 'decode_pixels_shape'],
      [expected.encode_indices, 'reconstruction'],
    ] as const) {
      const [, , height, width] = expected[name].shape;
      const shape: [number, number] = [height / tokenizer.stride, width / tokenizer.stride];
      const got = tf.tidy(() => toNchw(tokenizer.decode(rowsOf(codes), shape)));
      yield close('decode', name, got, want(name), 1e-3);
    }
  } finally {
    tf.dispose([pixels, z]);
    tokenizer.dispose();
  }
}

function toNhwc(raw: RawTensor): tf.Tensor4D {
  return tf.tidy(() =>
    tf.transpose(tf.tensor<tf.Rank>(toFloat32(raw), raw.shape as number[]), [0, 2, 3, 1]),
  ) as tf.Tensor4D;
}

function toNchw(tensor: tf.Tensor): Float32Array {
  return tf.tidy(() => tf.transpose(tensor, [0, 3, 1, 2]).dataSync<'float32'>());
}

function rowsOf(raw: RawTensor): Float32Array[] {
  const [count, length] = raw.shape;
  const flat = toFloat32(raw);
  return Array.from({ length: count }, (_, i) => flat.slice(i * length, (i + 1) * length));
}
