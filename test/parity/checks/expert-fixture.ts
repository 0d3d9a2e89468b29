/** What the fixtures of the text-and-image scorers have in common: their tensors, and what of them is compared. */
import * as path from 'node:path';
import { tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, toFloat32, toInt32 } from '../../../src/io';
import type { TokenRows } from '../../../src/models/scorers/bert/rows';
import { type Check, close, holds } from './check';

export type Tensors = Readonly<Record<string, RawTensor>>;

/** Inputs and expected numbers of a folder. */
export async function readFixture(folder: string): Promise<{ inputs: Tensors; expected: Tensors }> {
  return {
    inputs: await readSafetensors(path.join(folder, 'inputs.safetensors')),
    expected: await readSafetensors(path.join(folder, 'expected.safetensors'), { nonFinite: 'allow' }),
  };
}

/** Rows of a `[rows, columns]` tensor of integers. */
export function intRows(raw: RawTensor): Int32Array[] {
  const [rows, columns] = raw.shape;
  const flat = toInt32(raw);
  return Array.from({ length: rows }, (_, r) => flat.slice(r * columns, (r + 1) * columns));
}

/** `input_ids` and `attention_mask`. */
export function tokenRows(inputs: Tensors): TokenRows {
  return { ids: intRows(inputs.input_ids), mask: inputs.attention_mask && intRows(inputs.attention_mask) };
}

/** Images `[n, channels, height, width]` as `[n, height, width, channels]`; the caller disposes them. */
export function images(raw: RawTensor): tf.Tensor4D {
  return tf.tidy(() =>
    tf.transpose(
      tf.tensor<tf.Rank.R4>(toFloat32(raw), [...raw.shape] as [number, number, number, number]),
      [0, 2, 3, 1],
    ),
  );
}

/** Compares with an expected tensor, and says so when the fixture has none of that name. */
export function compare(
  expected: Tensors,
  group: string,
  quantity: string,
  got: ArrayLike<number>,
  tolerance: number,
): Check {
  const raw = expected[quantity];
  if (!raw) return holds(group, quantity, false, 'expected.safetensors does not have it');
  return close(group, quantity, got, toFloat32(raw), tolerance);
}

/** {@link compare} of token vectors `[batch, tokens, width]` where the mask shows a token; pads hold anything. */
export function compareShown(
  expected: Tensors,
  group: string,
  quantity: string,
  got: ArrayLike<number>,
  tolerance: number,
  mask: TokenRows['mask'],
): Check {
  const raw = expected[quantity];
  if (!raw || !mask || got.length !== toFloat32(raw).length) return compare(expected, group, quantity, got, tolerance);
  const want = toFloat32(raw);
  const shown = mask.flatMap((row) => Array.from(row));
  const width = want.length / shown.length;
  const kept = (values: ArrayLike<number>) =>
    Float32Array.from(values).filter((_, i) => shown[Math.floor(i / width)] === 1);
  return close(group, quantity, kept(got), kept(want), tolerance);
}
