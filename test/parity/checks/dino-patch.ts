/** Patch features of DINOv2, with registers and without, and how alike two images' patches are. */
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { Dinov2 } from '../../../src/models/scorers/dinov2';
import type { PatchFeatures } from '../../../src/models/scorers/vision/transformer';
import { patchSimilarity } from '../../../src/rewards';
import { toFloat32 } from '../../../src/io';
import { type Check, close } from './check';
import { compare, images, readFixture, type Tensors } from './expert-fixture';

const STATES = { generated: 1e-4, reference: 1e-4, reference_big: 2e-4, reference_small: 2e-4 } as const;
const SIMILARITY = 1e-5;
const STRETCHED = 2e-5;

export async function* parity(folder: string): AsyncGenerator<Check, void, undefined> {
  const { inputs, expected } = await readFixture(folder);
  for (const kind of ['plain', 'registers']) {
    const model = await Dinov2.fromPretrained(path.join(folder, kind));
    try {
      yield* checksOf(kind, model, inputs, expected);
    } finally {
      model.dispose();
    }
  }
}

function* checksOf(kind: string, model: Dinov2, inputs: Tensors, expected: Tensors): Generator<Check> {
  const patches: Record<string, PatchFeatures[]> = {};
  for (const [name, tolerance] of Object.entries(STATES)) {
    const pixels = images(inputs[name]);
    const [states, own] = tf.tidy(() => [model.forward(pixels).lastHiddenState, model.patchFeatures(pixels)]);
    yield compare(expected, kind, `${kind}.${name}_last_hidden_state`, states.dataSync(), tolerance);
    patches[name] = unitRows(own);
    tf.dispose([pixels, states, own]);
  }
  const { generated, reference } = patches;
  const rows = generated.map((image) => reference.map((other) => patchSimilarity(image, other)));
  const quantities = { best_generated: 'image', best_reference: 'reference', best_symmetric: 'symmetric' } as const;
  for (const [quantity, part] of Object.entries(quantities)) {
    const values = rows.flat().map((one) => one[part]);
    yield compare(expected, kind, `${kind}.${quantity}`, values, SIMILARITY);
  }
  for (const size of ['big', 'small']) {
    const [other] = patches[`reference_${size}`];
    const wanted = toFloat32(expected[`${kind}.${size}`]);
    for (const [i, image] of generated.entries()) {
      const { image: own, reference: back, symmetric } = patchSimilarity(image, other);
      const row = wanted.slice(4 * i + 1, 4 * i + 4); // the first number is another metric
      yield close(kind, `${kind}.${size}`, [own, back, symmetric], row, STRETCHED);
    }
  }
}

function unitRows(patches: tf.Tensor3D): PatchFeatures[] {
  const [, count, size] = patches.shape;
  const unit = tf.tidy(() => tf.div(patches, tf.norm(patches, 2, 2, true)));
  const values = unit.dataSync<'float32'>();
  unit.dispose();
  return Array.from({ length: patches.shape[0] }, (_, i) => {
    return { count, size, values: values.slice(i * count * size, (i + 1) * count * size) };
  });
}
