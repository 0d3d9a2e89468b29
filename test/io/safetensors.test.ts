import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type RawTensor,
  SafetensorsError,
  checkFinite,
  fromBfloat16Bits,
  openSafetensors,
  readSafetensors,
  toBfloat16Bits,
  toFloat32,
  writeSafetensors,
} from '../../src/io/safetensors';
import { fromFloat16Bits, toFloat16Bits } from '../../src/io/safetensors/dtypes';

const fixtures = path.join(__dirname, '../parity/safetensors');
interface Case {
  sharded: { folders: string[]; expected: string[]; shapes: Record<string, number[]> };
  other_dtypes: Record<string, { shape: number[]; values: unknown }>;
  other_metadata: Record<string, string>;
  unaligned_out_of_order: Record<string, number[]>;
  bad: { file: string; must_report: string }[];
}
let folder: string;
let described: Case;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'unilab-safetensors-'));
  described = JSON.parse(await readFile(path.join(fixtures, 'case.json'), 'utf8')) as Case;
});
after(() => rm(folder, { recursive: true }));

describe('reading', () => {
  it('reads sharded checkpoints of every float type exactly', async () => {
    for (const [i, name] of described.sharded.folders.entries()) {
      const got = await readSafetensors(path.join(fixtures, name));
      const expected = await readSafetensors(path.join(fixtures, described.sharded.expected[i]));
      assert.deepEqual(Object.keys(got).sort(), Object.keys(described.sharded.shapes).sort());
      const reader = await openSafetensors(path.join(fixtures, name));
      for (const [tensor, shape] of Object.entries(described.sharded.shapes)) {
        assert.deepEqual(got[tensor].shape, shape);
        assert.deepEqual(bits(toFloat32(got[tensor])), bits(expected[tensor].data as Float32Array));
        assert.deepEqual(bits(await reader.readFloat32(tensor)), bits(expected[tensor].data as Float32Array));
      }
      await reader.close();
    }
  });

  it('reads every other type, names outside ASCII, scalars, empty tensors and metadata', async () => {
    const file = path.join(fixtures, 'other_dtypes.safetensors');
    const got = await readSafetensors(file);
    for (const [name, { shape, values }] of Object.entries(described.other_dtypes)) {
      assert.deepEqual(got[name].shape, shape);
      const flat = [values].flat(9).map((v) => (typeof v === 'boolean' ? Number(v) : v));
      assert.deepEqual(
        Array.from(got[name].data as Iterable<number | bigint>, (v) => (typeof v === 'bigint' ? String(v) : v)),
        flat,
      );
    }
    const reader = await openSafetensors(file);
    assert.deepEqual({ ...reader.metadata }, described.other_metadata);
    await assert.rejects(reader.read('nothing'), { code: 'unknown_tensor' });
    await reader.close();
  });

  it('reads data that begins at an odd byte', async () => {
    const got = await readSafetensors(path.join(fixtures, 'unaligned_out_of_order.safetensors'));
    for (const [name, values] of Object.entries(described.unaligned_out_of_order)) {
      assert.deepEqual([...got[name].data], values);
    }
  });

  it('reports every corruption by file and code', async () => {
    assert.ok(described.bad.length >= 20);
    for (const { file, must_report } of described.bad) {
      const whole = path.join(fixtures, file);
      const error = await readSafetensors(whole, { nonFinite: 'error' }).then(
        () => undefined,
        (e: unknown) => e,
      );
      assert.ok(error instanceof SafetensorsError, `${file} was accepted`);
      assert.equal(error.code, must_report, file);
      assert.ok(error.message.includes(path.basename(file)), error.message);
    }
  });

  it('names tensor and counts of non-finite values, and only when asked', async () => {
    const file = path.join(fixtures, 'bad/11_nan_payload.safetensors');
    await assert.rejects(
      checkFinite(file),
      (e: SafetensorsError) => e.tensor === 'w' && /1 NaN and 1 infinite/.test(e.message),
    );
    assert.equal(Object.keys(await readSafetensors(file, { nonFinite: 'allow' })).length, 1);
    const bf16 = path.join(folder, 'nan.safetensors');
    const data = Float32Array.of(NaN, 1, -Infinity, Infinity);
    await writeSafetensors(bf16, {
      h: { dtype: 'BF16', shape: [4], data },
      f: { dtype: 'F16', shape: [1], data: Float32Array.of(2) },
    });
    await assert.rejects(checkFinite(bf16), /tensor 'h': 1 NaN and 2 infinite of its 4/);
  });

  it('finds an escaped duplicate key and says what a missing path is', async () => {
    const header =
      '{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0077":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
    const file = path.join(folder, 'twice.safetensors');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    await writeFile(file, Buffer.concat([length, Buffer.from(header), Buffer.of(1)]));
    await assert.rejects(readSafetensors(file), { code: 'duplicate_key', tensor: 'w' });
    await assert.rejects(readSafetensors(path.join(folder, 'nowhere')), { code: 'file_not_found' });
  });
});

describe('writing', () => {
  const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((s) => s !== '__metadata__');
  const tensors = fc.dictionary(
    names,
    fc.oneof(
      fc.float32Array({ maxLength: 40 }).map((data): RawTensor => ({ dtype: 'F32', shape: [data.length], data })),
      fc.int32Array({ maxLength: 40 }).map((data): RawTensor => ({ dtype: 'I32', shape: [1, data.length], data })),
      fc.uint8Array({ maxLength: 40 }).map((data): RawTensor => ({ dtype: 'U8', shape: [data.length, 1], data })),
      fc.bigInt64Array({ maxLength: 9 }).map((data): RawTensor => ({ dtype: 'I64', shape: [data.length], data })),
      fc.uint16Array({ maxLength: 40 }).map((data): RawTensor => ({ dtype: 'BF16', shape: [data.length], data })),
    ),
    { maxKeys: 6 },
  );

  it('gives back bit for bit what was written, whole or sharded', async () => {
    await fc.assert(
      fc.asyncProperty(
        tensors,
        fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
        async (given, shardBytes) => {
          const file = path.join(folder, 'round', 'model.safetensors');
          const written = await writeSafetensors(file, given, { metadata: { format: 'pt' }, shardBytes });
          const got = await readSafetensors(path.dirname(file), { nonFinite: 'allow' });
          assert.deepEqual((await readdir(path.dirname(file))).sort(), written.map((f) => path.basename(f)).sort());
          assert.deepEqual(Object.keys(got).sort(), Object.keys(given).sort());
          for (const [name, { dtype, shape, data }] of Object.entries(given)) {
            assert.equal(got[name].dtype, dtype);
            assert.deepEqual(got[name].shape, shape);
            assert.deepEqual(new Uint8Array(got[name].data.buffer), new Uint8Array(data.buffer));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('rounds to bfloat16 and half to nearest even', () => {
    assert.equal(fromBfloat16Bits(toBfloat16Bits(1 + 2 ** -8)), 1); // tie, down to even
    assert.equal(fromBfloat16Bits(toBfloat16Bits(1 + 3 * 2 ** -8)), 1 + 2 ** -6); // tie, up to even
    assert.equal(fromBfloat16Bits(toBfloat16Bits(3.4028234663852886e38)), Infinity);
    assert.ok(Number.isNaN(fromBfloat16Bits(toBfloat16Bits(NaN))));
    for (let b = 0; b < 65536; b++) {
      const half = fromFloat16Bits(b);
      if (!Number.isNaN(half)) assert.equal(toFloat16Bits(half), b);
      const brain = fromBfloat16Bits(b);
      if (!Number.isNaN(brain)) assert.equal(toBfloat16Bits(brain), b);
    }
    const nearest = (value: number, bitsOf: (v: number) => number, valueOf: (b: number) => number): void => {
      const bits16 = bitsOf(value);
      const error = Math.abs(valueOf(bits16) - value);
      for (const other of [bits16 - 1, bits16 + 1]) {
        const there = Math.abs(valueOf(other & 0xffff) - value);
        if (!Number.isNaN(there)) assert.ok(error < there || (error === there && bits16 % 2 === 0), `${value}`);
      }
    };
    fc.assert(
      fc.property(fc.float({ min: -60000, max: 60000, noNaN: true }), (v) =>
        nearest(v, toFloat16Bits, fromFloat16Bits),
      ),
    );
    fc.assert(
      fc.property(fc.float({ min: Math.fround(-1e38), max: Math.fround(1e38), noNaN: true }), (v) =>
        nearest(v, toBfloat16Bits, fromBfloat16Bits),
      ),
    );
  });

  it('leaves the old file when a write fails half-way, and nothing aside', async () => {
    const file = path.join(folder, 'kept', 'model.safetensors');
    await writeSafetensors(file, { a: { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) } });
    const old = await readFile(file);
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    await assert.rejects(
      writeSafetensors(file, {
        a: { dtype: 'F32', shape: [2], data: Float32Array.of(3, 4) },
        b: { dtype: 'F32', shape: [1], data: () => Promise.reject(full) },
      }),
      { code: 'ENOSPC' },
    );
    assert.deepEqual(await readFile(file), old);
    assert.deepEqual(await readdir(path.dirname(file)), ['model.safetensors']);
  });

  it('refuses data that does not fit its shape or dtype', async () => {
    const file = path.join(folder, 'refused.safetensors');
    const write = (tensor: Parameters<typeof writeSafetensors>[1][string]): Promise<unknown> =>
      writeSafetensors(file, { t: tensor });
    await assert.rejects(
      write({ dtype: 'F32', shape: [3], data: Float32Array.of(1) }),
      /tensor 't'.*needs 3 numbers, its data has 1/,
    );
    await assert.rejects(
      write({ dtype: 'U8', shape: [1], data: Float32Array.of(1) }),
      /Float32Array cannot be written as U8/,
    );
    await assert.rejects(write({ dtype: 'F32', shape: [-1], data: Float32Array.of(1) }), /shape \[-1\]/);
    await assert.rejects(readFile(file), { code: 'ENOENT' });
  });
});

function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
