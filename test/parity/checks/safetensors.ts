/** Safetensors: sharded checkpoints, all types, written and read again, and what is wrong with broken files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import {
  type RawTensor,
  SafetensorsError,
  openSafetensors,
  readSafetensors,
  toFloat32,
  writeSafetensors,
} from '../../../src/io';
import { type Check, holds, same } from './check';

interface Description {
  sharded?: { folders: string[]; expected: string[]; shapes: Record<string, number[]> };
  other_dtypes?: Record<string, { shape: number[]; values: unknown }>;
  other_metadata?: Record<string, string>;
  unaligned_out_of_order?: Record<string, number[]>;
  bad?: { file: string; must_report: string }[];
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const d = description as Description;
  const at = (name: string): string => path.join(folder, name);
  for (const [i, name] of (d.sharded?.folders ?? []).entries()) {
    const got = await readSafetensors(at(name), { nonFinite: 'allow' });
    const expected = await readSafetensors(at((d.sharded as { expected: string[] }).expected[i]), {
      nonFinite: 'allow',
    });
    yield same(name, 'names', Object.keys(got).sort(), Object.keys(expected).sort());
    yield same(
      name,
      'shapes',
      Object.keys(expected).map((t) => String(got[t]?.shape)),
      Object.values(expected).map((t) => String(t.shape)),
    );
    yield same(
      name,
      'values',
      Object.keys(expected).flatMap((t) => bits(got[t])),
      Object.values(expected).flatMap(bits),
    );
    yield* rewritten(name, got);
  }
  if (d.other_dtypes) {
    const file = 'other_dtypes.safetensors';
    const got = await readSafetensors(at(file));
    for (const [name, { shape, values }] of Object.entries(d.other_dtypes)) {
      const flat = [values].flat(9).map((v) => (typeof v === 'boolean' ? Number(v) : v));
      const own = Array.from<number | bigint, unknown>(got[name]?.data ?? [], (v) =>
        typeof v === 'bigint' ? String(v) : v,
      );
      yield same(`${file} ${name}`, 'values and shape', [...own, ...(got[name]?.shape ?? [])], [...flat, ...shape]);
    }
    yield* rewritten(file, got);
    const reader = await openSafetensors(at(file));
    await reader.close();
    const expected = d.other_metadata ?? {};
    yield same(
      file,
      'metadata',
      Object.keys(expected).map((key) => reader.metadata[key]),
      Object.values(expected),
    );
  }
  if (d.unaligned_out_of_order) {
    const file = 'unaligned_out_of_order.safetensors';
    const got = await readSafetensors(at(file));
    for (const [name, values] of Object.entries(d.unaligned_out_of_order))
      yield same(`${file} ${name}`, 'values', toFloat32(got[name]), values);
  }
  for (const { file, must_report } of d.bad ?? []) {
    const error = await readSafetensors(at(file), { nonFinite: 'error' }).then(
      () => undefined,
      (e: unknown) => e,
    );
    const code = error instanceof SafetensorsError ? error.code : error instanceof Error ? error.message : 'nothing';
    const named = error instanceof Error && error.message.includes(path.basename(file));
    yield holds(file, `reports ${must_report}`, code === must_report && named, `reported ${code}`);
  }
}

/** Writes tensors, whole and in several files, and reads them again: not a bit may differ. */
async function* rewritten(name: string, tensors: Record<string, RawTensor>): AsyncGenerator<Check> {
  const folder = await mkdtemp(path.join(tmpdir(), 'unilab-rewritten-'));
  try {
    const largest = Math.max(...Object.values(tensors).map(({ data }) => data.byteLength));
    for (const [form, shardBytes] of [
      ['whole', Infinity],
      ['sharded', largest],
    ] as const) {
      await writeSafetensors(path.join(folder, 'model.safetensors'), tensors, { shardBytes });
      const again = await readSafetensors(folder, { nonFinite: 'allow' });
      const got = Object.keys(tensors).map((key) => description(again[key]));
      const want = Object.values(tensors).map(description);
      yield same(`${name} ${form}`, 'written and read again', got, want);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** All of a tensor as one text. */
function description(tensor: RawTensor | undefined): string {
  if (!tensor) return 'nothing';
  const { buffer, byteOffset, byteLength } = tensor.data;
  return `${tensor.dtype} [${tensor.shape}] ${Buffer.from(buffer, byteOffset, byteLength).toString('hex')}`;
}

/** The float32 bits: -0 is not 0 here. */
function bits(tensor: RawTensor | undefined): number[] {
  if (!tensor) return [];
  const values = toFloat32(tensor);
  return Array.from(new Uint32Array(values.buffer, values.byteOffset, values.length));
}
