/** DreamSim: features and distances of single backbones, the ensemble, a head, and adapters beside and in the weights. */
import * as path from 'node:path';
import { readValues, tf } from '../../../src/engine';
import { type Image, readImage } from '../../../src/io';
import { DreamSim, type DreamSimBackboneName, type DreamSimFiles } from '../../../src/models/scorers/dreamsim';
import { centered } from '../../../src/models/scorers/dreamsim/distance';
import type { Check } from './check';
import { compare, images, readFixture, type Tensors } from './expert-fixture';

const FEATURES = 1e-4;
const DISTANCE = 2e-5;

interface Variant {
  readonly backbones: readonly {
    readonly name: DreamSimBackboneName;
    readonly pretrain: string;
    readonly feature: 'cls' | 'embedding' | 'cls_patch';
    readonly heads: number;
  }[];
  readonly lora: string;
}

interface Case {
  readonly variants: Readonly<Record<string, Variant>>;
  readonly mlp: { readonly backbone: string; readonly weights: string };
  readonly merged: { readonly variant: string; readonly weights: string };
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { variants, mlp, merged } = description as unknown as Case;
  const at = (name: string): string => path.join(folder, name);
  const fixture = { folder, ...(await readFixture(folder)) };
  for (const [name, variant] of Object.entries(variants)) {
    const bare = filesOf(folder, variant);
    yield* checksOf(name, name, { ...bare, adapters: at(variant.lora) }, fixture);
    for (const normalize of [true, false]) {
      const quantity = `${name}.distance_without_lora${normalize ? '' : '_not_normalised'}`;
      const got = await distances({ ...bare, normalize }, fixture.inputs);
      yield compare(fixture.expected, name, quantity, got, DISTANCE);
    }
  }
  const plain = filesOf(folder, variants[merged.variant]);
  const whole = { ...plain, backbones: plain.backbones.map((one) => ({ ...one, weights: at(merged.weights) })) };
  yield* checksOf('merged', merged.variant, whole, fixture);
  const headed = { ...filesOf(folder, variants[mlp.backbone]), head: at(mlp.weights) };
  yield* checksOf('head', `${mlp.backbone}_mlp`, headed, fixture);
}

function filesOf(folder: string, { backbones }: Variant): DreamSimFiles {
  return {
    backbones: backbones.map(({ name, pretrain }) => ({ name, weights: path.join(folder, pretrain) })),
    patches: backbones[0].feature === 'cls_patch',
    heads: backbones[0].heads,
  };
}

async function* checksOf(
  group: string,
  prefix: string,
  files: DreamSimFiles,
  { folder, inputs, expected }: { folder: string; inputs: Tensors; expected: Tensors },
): AsyncGenerator<Check, void, undefined> {
  const model = await DreamSim.load(files);
  const [a, b] = [images(inputs.images_a), images(inputs.images_b)];
  try {
    const part = files.patches ? 'tokens' : 'embed';
    for (const [key, pixels] of Object.entries({ [`${part}_a`]: a, [`${part}_b`]: b })) {
      const features = model.features(pixels);
      yield compare(expected, group, `${prefix}.${key}`, features.dataSync(), FEATURES);
      const unit = centered(features);
      if (key.endsWith('_a')) yield compare(expected, group, `${prefix}.${key}_normalised`, unit.dataSync(), DISTANCE);
      tf.dispose([features, unit]);
    }
    yield compare(expected, group, `${prefix}.distance`, model.distance(a, b), DISTANCE);
    const [first, second] = [images(inputs.first_resized), images(inputs.second_resized)];
    const apart = model.distance(first, second);
    tf.dispose([first, second]);
    yield compare(expected, group, `${prefix}.distance_pictures`, apart, DISTANCE);
    yield* resizes(group, model, folder, inputs);
  } finally {
    tf.dispose([a, b]);
    model.dispose();
  }
  const raw = await distances({ ...files, normalize: false }, inputs);
  yield compare(expected, group, `${prefix}.distance_not_normalised`, raw, DISTANCE);
}

/**
 * Both pictures in the model's size. The second is tall, and the fixture's Pillow took its columns first, which other
 * releases do not; a turned picture's rows are those columns.
 */
async function* resizes(group: string, model: DreamSim, folder: string, inputs: Tensors): AsyncGenerator<Check> {
  const [first, second] = await Promise.all(
    ['first', 'second'].map((name) => readImage(path.join(folder, `${name}.png`))),
  );
  const wide = readValues(() => tf.transpose(model.process([first]), [0, 3, 1, 2]));
  yield compare(inputs, group, 'first_resized', wide, 1e-6);
  const tall = readValues(() => tf.transpose(model.process([turned(second)]), [0, 3, 2, 1]));
  yield compare(inputs, group, 'second_resized', tall, 1e-6);
}

/** The image with rows and columns exchanged. */
function turned({ width, height, rgb }: Image): Image {
  const at = (i: number): number => (Math.floor(i / 3) % height) * width + Math.floor(i / (3 * height));
  return { width: height, height: width, rgb: rgb.map((_, i) => rgb[3 * at(i) + (i % 3)]) };
}

async function distances(files: DreamSimFiles, inputs: Tensors): Promise<Float32Array> {
  const model = await DreamSim.load(files);
  const [a, b] = [images(inputs.images_a), images(inputs.images_b)];
  try {
    return model.distance(a, b);
  } finally {
    tf.dispose([a, b]);
    model.dispose();
  }
}
