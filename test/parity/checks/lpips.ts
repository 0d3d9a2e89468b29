/** LPIPS: features, every layer's share, distances; from both forms in which the weights are published. */
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import { Lpips } from '../../../src/models/scorers/lpips';
import { type Check, close } from './check';

type Tensors = Record<string, RawTensor>;

const TOLERANCE = 1e-5;

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const at = (name: string): string => path.join(folder, name);
  const inputs = await readSafetensors(at('inputs.safetensors'));
  const expected = await readSafetensors(at('expected.safetensors'));
  const parts = await Lpips.load(at('vgg16.safetensors'), at('lpips_lin.safetensors'));
  try {
    yield* distances('vgg16 + lin', parts, inputs, expected);
  } finally {
    parts.dispose();
  }
  const whole = await Lpips.load(at('lpips_full.safetensors'));
  try {
    yield* distances('lpips_full', whole, inputs, expected);
  } finally {
    whole.dispose();
  }
}

function* distances(name: string, lpips: Lpips, inputs: Tensors, expected: Tensors): Generator<Check> {
  const want = (key: string): Float32Array => toFloat32(expected[key]);
  const [a, b, rectA, rectB] = ['image_a', 'image_b', 'rect_a', 'rect_b'].map((key) => nhwc(inputs[key]));
  try {
    for (const [i, got] of firstFeatures(lpips, a).entries()) {
      const key = `features_a_slice${i + 1}`;
      yield close(name, key, got, want(key), TOLERANCE);
    }
    const { distance, perLayer } = lpips.compare(a, b);
    const layers = perLayer.flatMap((row) => Array.from(row));
    yield close(name, 'per_layer', layers, want('per_layer'), TOLERANCE);
    yield close(name, 'distance', distance, want('distance'), TOLERANCE);
    const [a01, b01] = tf.tidy(() => [a, b].map((x) => tf.sub<tf.Tensor4D>(tf.mul(tf.div(tf.add(x, 1), 2), 2), 1)));
    yield close(name, 'distance_from_01', lpips.distance(a01, b01), want('distance_from_01'), TOLERANCE);
    tf.dispose([a01, b01]);
    yield close(name, 'distance_rect', lpips.distance(rectA, rectB), want('distance_rect'), TOLERANCE);
  } finally {
    tf.dispose([a, b, rectA, rectB]);
  }
}

/** Features of the first image, NCHW. */
function firstFeatures(lpips: Lpips, images: tf.Tensor4D): Float32Array[] {
  const slices = tf.tidy(() =>
    lpips.features(tf.slice(images, [0, 0, 0, 0], [1, -1, -1, -1])).map((slice) => tf.transpose(slice, [0, 3, 1, 2])),
  );
  const values = slices.map((slice) => slice.dataSync<'float32'>());
  tf.dispose(slices);
  return values;
}

function nhwc(raw: RawTensor): tf.Tensor4D {
  const shape = raw.shape as [number, number, number, number];
  return tf.tidy(() => tf.transpose(tf.tensor4d(toFloat32(raw), shape), [0, 2, 3, 1]));
}
