/** DETR: logits and boxes of pixels, the picture brought to its size, and the objects that are found in it. */
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { readImage, readSafetensors, toFloat32 } from '../../../src/io';
import { Detr, type DetrObject } from '../../../src/models/scorers/detr';
import { type Check, close, same } from './check';
import { toNhwc } from './vision';

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { objects } = description as { objects?: readonly DetrObject[] };
  const at = (name: string): string => path.join(folder, name);
  const inputs = await readSafetensors(at('inputs.safetensors'));
  const expected = await readSafetensors(at('expected.safetensors'));
  const want = (name: string): Float32Array => toFloat32(expected[name]);
  const model = await Detr.fromPretrained(folder);
  const image = await readImage(at('image.png'));
  const pixels = toNhwc(inputs.pixel_values);
  const picture = model.process(image);
  try {
    for (const [prefix, given] of [
      ['', pixels],
      ['image_', picture],
    ] as const) {
      const { logits, boxes } = model.forward(given);
      yield close('detr', `${prefix}logits`, logits.dataSync(), want(`${prefix}logits`), 1e-4);
      yield close('detr', `${prefix}boxes`, boxes.dataSync(), want(prefix ? 'image_boxes' : 'pred_boxes'), 1e-4);
      tf.dispose([logits, boxes]);
    }
    const nchw = tf.tidy(() => tf.transpose(picture, [0, 3, 1, 2]).dataSync<'float32'>());
    yield close('detr', 'image_pixels', nchw, want('image_pixels'), 1e-5);
    const [found] = await model.detect([image]);
    const given = objects ?? [];
    // The class "mouse" is spoken of as GenEval does.
    const spoken = given.map(({ label }) => (label === 'mouse' ? 'computer mouse' : label));
    const labels = found.map(({ label }) => label);
    yield same('detr', 'labels', labels, spoken);
    yield close(
      'detr',
      'scores',
      found.map(({ score }) => score),
      given.map(({ score }) => score),
      1e-4,
    );
    yield close(
      'detr',
      'boxes of the picture',
      found.flatMap(({ box }) => [...box]),
      given.flatMap(({ box }) => [...box]),
      1e-2,
    );
  } finally {
    tf.dispose([pixels, picture]);
    model.dispose();
  }
}
