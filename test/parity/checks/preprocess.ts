/** Image processors: each one on every image, from the file to the numbers that a model takes. */
import { readdir } from 'node:fs/promises';
import * as path from 'node:path';
import sharp from 'sharp';
import { tf } from '../../../src/engine';
import { ImageProcessor, type Image, readSafetensors, toFloat32 } from '../../../src/io';
import { type Check, close, holds } from './check';

/** Every step of Pillow's is reproduced, so what is left is the rounding of float32. */
const tolerance = 1e-5;

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const expected = await readSafetensors(path.join(folder, 'expected.safetensors'));
  const entries = await readdir(folder, { withFileTypes: true });
  const processors = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const left: string[] = [];
  for (const key of Object.keys(expected)) {
    const name = processors.filter((each) => key.startsWith(`${each}_`)).sort((a, b) => b.length - a.length)[0];
    if (name === undefined) {
      left.push(key);
      continue;
    }
    const processor = await ImageProcessor.fromPretrained(path.join(folder, name));
    const pixels = processor.process([await decode(path.join(folder, `${key.slice(name.length + 1)}.png`))]);
    const nchw = tf.tidy(() => tf.transpose(pixels, [0, 3, 1, 2]));
    pixels.dispose();
    const shape = nchw.shape.slice(1).join(', ');
    const got = nchw.dataSync<'float32'>();
    nchw.dispose();
    const wanted = expected[key].shape.join(', ');
    yield holds(key, 'shape', shape === wanted, `it is [${shape}], expected [${wanted}]`);
    yield close(key, 'pixels', got, toFloat32(expected[key]), tolerance);
  }
  yield holds('all', 'processors found', left.length === 0, `there is no folder for ${left.join(', ')}`);
}

/** As Pillow converts to RGB: an alpha channel is dropped, not laid on a ground. */
async function decode(file: string): Promise<Image> {
  const { data, info } = await sharp(file)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, rgb: new Uint8Array(data) };
}
