/** What the fixtures of vision transformers have in common: images of three sizes, tokens, cosines between images. */
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32 } from '../../../src/io';
import type { VisionTransformer } from '../../../src/models/scorers/vision/transformer';
import { type Check, close, holds } from './check';

/** At the configuration's own size, and with stretched positions. */
const TOLERANCE = { own: 1e-4, stretched: 2e-4 };

/** `[batch, channels, height, width]` -> a tensor `[batch, height, width, channels]`, the caller's to dispose. */
export function toNhwc(raw: RawTensor): tf.Tensor4D {
  return tf.tidy(() =>
    tf.transpose(tf.tensor<tf.Rank.R4>(toFloat32(raw), raw.shape as [number, number, number, number]), [0, 2, 3, 1]),
  );
}

/** Checks a model against its folder, and disposes it. */
export async function* visionChecks(folder: string, model: VisionTransformer): AsyncGenerator<Check, void, undefined> {
  try {
    const inputs = await readSafetensors(path.join(folder, 'inputs.safetensors'));
    const expected = await readSafetensors(path.join(folder, 'expected.safetensors'));
    const left = new Set(Object.keys(expected));
    for (const input of Object.keys(inputs).filter((name) => name.startsWith('pixel_values'))) {
      const suffix = input.replace(/^pixel_values/, '');
      const tolerance = suffix === '' ? TOLERANCE.own : TOLERANCE.stretched;
      const got = measure(model, inputs[input], suffix === '');
      for (const [quantity, numbers] of Object.entries(got)) {
        const name = `${quantity}${suffix}`;
        if (!expected[name]) continue;
        left.delete(name);
        yield close(suffix === '' ? 'own size' : suffix.slice(1), name, numbers, toFloat32(expected[name]), tolerance);
      }
    }
    yield holds('all', 'numbers compared', left.size === 0, `nothing gives ${[...left].join(', ')}`);
  } finally {
    model.dispose();
  }
}

/** Everything that a fixture may ask of one batch of images. */
function measure(model: VisionTransformer, raw: RawTensor, own: boolean): Record<string, Float32Array> {
  const pixels = toNhwc(raw);
  const {
    lastHiddenState,
    poolerOutput,
    hiddenStates = [],
  } = model.forward(pixels, {
    hiddenStates: true,
    ...(own ? {} : { interpolatePositions: true }),
  });
  const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync<'float32'>().slice();
  const out: Record<string, Float32Array> = { last_hidden_state: values(lastHiddenState) };
  if (poolerOutput) out.pooler_output = values(poolerOutput);
  hiddenStates.forEach((state, layer) => (out[layer === 0 ? 'embeddings' : `hidden_state_${layer}`] = values(state)));
  const features: Record<string, () => tf.Tensor> = {
    cosine_cls: () => model.classFeatures(pixels, { interpolatePositions: true }),
    cosine_patches_flat: () =>
      tf.reshape(model.patchFeatures(pixels, { interpolatePositions: true }), [pixels.shape[0], -1]),
    cosine_patches_mean: () => tf.mean(model.patchFeatures(pixels, { interpolatePositions: true }), 1),
  };
  for (const [name, feature] of Object.entries(features)) {
    const cosines = tf.tidy(() => cosineTable(feature() as tf.Tensor2D));
    out[name] = values(cosines);
    cosines.dispose();
  }
  tf.dispose([pixels, lastHiddenState, poolerOutput ?? [], [...hiddenStates]]);
  return out;
}

/** `[n, size]` -> the cosine of each with each, `[n, n]`. */
function cosineTable(features: tf.Tensor2D): tf.Tensor2D {
  const unit = tf.div<tf.Tensor2D>(features, tf.norm(features, 2, 1, true));
  return tf.matMul(unit, unit, false, true);
}
