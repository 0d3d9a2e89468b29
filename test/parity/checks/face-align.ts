/** Faces turned to a standard position: matrices, crops, and landmarks that are no face. */
import * as path from 'node:path';
import { type Image, type RawTensor, readImage, readSafetensors } from '../../../src/io';
import { alignFace, alignment, warp } from '../../../src/models/scorers/mtcnn/align';
import { type Check, close, holds } from './check';

type Landmarks = [number, number][];
type Case = { readonly name: string; readonly landmarks: Landmarks } & Readonly<Record<string, unknown>>;

interface Description {
  readonly picture: string;
  readonly cases: readonly Case[];
  readonly errors: readonly { readonly name: string; readonly landmarks: (number | string | null)[][] }[];
}

const SIDES = [112, 160];

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { picture, cases, errors } = description as unknown as Description;
  const image = await readImage(path.join(folder, picture));
  const expected = await readSafetensors(path.join(folder, 'expected.safetensors'));
  for (const one of cases) for (const side of SIDES) yield* checksOf(image, one, side, expected);
  for (const { name, landmarks } of errors) {
    const points = landmarks.map((point) => point.map((v) => (v === null ? NaN : Number(v))) as [number, number]);
    yield holds(
      name,
      'is refused',
      refuses(() => alignFace(image, points)),
    );
  }
}

function* checksOf(image: Image, one: Case, side: number, expected: Record<string, RawTensor>): Generator<Check> {
  const { name, landmarks } = one;
  const matrix = (one[`matrix_${side}`] as number[][]).flat();
  const { a, b, tx, ty } = alignment(landmarks, side);
  const largest = Math.max(...matrix.map(Math.abs));
  yield close(name, `matrix_${side}`, [a, -b, tx, b, a, ty], matrix, 1e-8 * largest);
  const values = warp(image, { a, b, tx, ty }, side);
  const means = [0, 1, 2].map((c) => values.filter((_, i) => i % 3 === c).reduce((sum, v) => sum + v, 0) / side ** 2);
  yield close(name, `crop_mean_${side}`, means, one[`crop_mean_${side}`] as number[], 0.01);
  const zeros = Array.from({ length: side ** 2 }, (_, i) => values.slice(3 * i, 3 * i + 3).every((v) => v === 0));
  const share = zeros.filter(Boolean).length / side ** 2;
  yield close(name, `crop_zero_fraction_${side}`, [share], [one[`crop_zero_fraction_${side}`] as number], 0.002);
  const exact = expected[`${name}.crop_${side}`];
  const tolerance = ['tiny_face', 'half_a_pixel'].includes(name) ? 0.05 : 0.01;
  if (exact) yield close(name, `crop_${side}`, channelsFirst(values), floats(exact), tolerance);
  const rounded = expected[`${name}.crop_${side}_u8`];
  const { rgb } = alignFace(image, landmarks, side);
  if (rounded) yield close(name, `crop_${side}_u8`, channelsFirst(rgb), floats(rounded), 1);
}

function channelsFirst(values: ArrayLike<number>): Float32Array {
  const places = values.length / 3;
  return Float32Array.from({ length: values.length }, (_, i) => values[(i % places) * 3 + Math.floor(i / places)]);
}

const floats = ({ data }: RawTensor): ArrayLike<number> => data as ArrayLike<number>;

function refuses(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    return error instanceof RangeError;
  }
}
