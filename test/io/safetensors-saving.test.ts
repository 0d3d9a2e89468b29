import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fsp, { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it, mock } from 'node:test';
import fc from 'fast-check';
import {
  type RawTensor,
  SafetensorsError,
  type WritableTensor,
  openSafetensors,
  readSafetensors,
  writeSafetensors,
} from '../../src/io/safetensors';

let scratch: string;
before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-saving-'));
});
after(() => rm(scratch, { recursive: true }));

const checkpoint = (value: number): Record<string, WritableTensor> =>
  Object.fromEntries(
    ['a', 'b', 'c'].map((name, i): [string, WritableTensor] => [
      name,
      { dtype: 'F32', shape: [4096], data: new Float32Array(4096).fill(value + i) },
    ]),
  );

async function firstValues(folder: string): Promise<number[]> {
  const tensors = await readSafetensors(folder);
  return ['a', 'b', 'c'].map((name) => Number(tensors[name].data[4095]));
}

/** All files of a folder with their bytes. */
async function contents(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name))] as const)),
  );
}

/** Starts a save over `file` in another process, and kills it when part of the new file is on the disk. */
async function killHalfway(file: string, shardBytes: number): Promise<void> {
  const script = path.join(__dirname, 'interrupted-save.ts');
  const child = spawn(process.execPath, [
    '--require',
    'ts-node/register/transpile-only',
    script,
    file,
    `${shardBytes}`,
  ]);
  const errors: string[] = [];
  child.stderr.on('data', (text: Buffer) => errors.push(text.toString()));
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`the child ended by itself: ${errors.join('')}`))),
  ]);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

describe('a save that is interrupted', () => {
  for (const [form, shardBytes] of [
    ['one file', 0],
    ['shards', 20_000],
  ] as const) {
    it(`by a kill leaves the old checkpoint (${form}), and the next save clears up`, async () => {
      const folder = await mkdtemp(path.join(scratch, 'killed-'));
      const file = path.join(folder, 'model.safetensors');
      const options = shardBytes ? { shardBytes } : {};
      await writeSafetensors(file, checkpoint(1), options);
      const old = await contents(folder);
      await killHalfway(file, shardBytes);
      assert.deepEqual(await contents(folder), old);
      const aside = (await readdir(folder)).filter((name) => name.endsWith('.partial'));
      assert.ok(aside.length > 0, 'the child was in the middle of it');
      assert.deepEqual(await firstValues(folder), [1, 2, 3]);
      await writeSafetensors(file, checkpoint(5), options);
      assert.deepEqual(await firstValues(folder), [5, 6, 7]);
      assert.deepEqual(
        (await readdir(folder)).filter((name) => name.startsWith('.')),
        [],
      );
    });
  }

  it('between any two of its last steps leaves the old checkpoint or the new one, in every form', async () => {
    const forms = { whole: undefined, two: 40_000, three: 20_000 };
    for (const [before, oldBytes] of Object.entries(forms)) {
      for (const [next, newBytes] of Object.entries(forms)) {
        for (let steps = 0; ; steps++) {
          const folder = await mkdtemp(path.join(scratch, 'stopped-'));
          const file = path.join(folder, 'model.safetensors');
          await writeSafetensors(file, checkpoint(1), { shardBytes: oldBytes });
          let left = steps;
          const real = { rename: fsp.rename, rm: fsp.rm };
          // From a certain rename or removal on, nothing reaches the disk any more: as after a power cut.
          const dead = () => --left < 0;
          mock.method(fsp, 'rename', (from: string, to: string) =>
            dead() ? Promise.reject(new Error('cut')) : real.rename(from, to),
          );
          mock.method(fsp, 'rm', (name: string, o: object) =>
            dead() ? Promise.reject(new Error('cut')) : real.rm(name, o),
          );
          const finished = await writeSafetensors(file, checkpoint(5), { shardBytes: newBytes }).then(
            () => true,
            () => false,
          );
          mock.restoreAll();
          const got = String(await firstValues(folder));
          assert.ok(got === '1,2,3' || got === '5,6,7', `${before} to ${next}, cut after ${steps} steps: ${got}`);
          if (finished) {
            assert.equal(got, '5,6,7');
            break;
          }
        }
      }
    }
  });

  it('by an error while the last file gets its name leaves nothing aside', async () => {
    const folder = await mkdtemp(path.join(scratch, 'named-'));
    mock.method(fsp, 'rename', () => Promise.reject(new Error('EACCES')));
    await assert.rejects(writeSafetensors(path.join(folder, 'model.safetensors'), checkpoint(1)), /EACCES/);
    mock.restoreAll();
    assert.deepEqual(await readdir(folder), []);
  });
});

describe('saving', () => {
  it('names shards as published checkpoints do, and gives way to the shards of an older checkpoint', async () => {
    const folder = await mkdtemp(path.join(scratch, 'names-'));
    const file = path.join(folder, 'model.safetensors');
    const save = async (value: number) =>
      (await writeSafetensors(file, checkpoint(value), { shardBytes: 40_000 })).map((name) => path.basename(name));
    const plain = [
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ];
    assert.deepEqual(await save(1), plain);
    const index = JSON.parse(await readFile(path.join(folder, plain[2]), 'utf8')) as object;
    assert.deepEqual(index, {
      metadata: { total_size: 3 * 4096 * 4 },
      weight_map: { a: plain[0], b: plain[0], c: plain[1] },
    });
    assert.deepEqual((await save(2))[0], 'model-v2-00001-of-00002.safetensors');
    assert.deepEqual(await save(3), plain);
    assert.deepEqual((await readdir(folder)).sort(), plain);
    // Files of other names are not ours to remove.
    await writeFile(path.join(folder, 'model-v2.safetensors'), 'of somebody else');
    await save(4);
    assert.equal(await readFile(path.join(folder, 'model-v2.safetensors'), 'utf8'), 'of somebody else');
  });

  it('of one file twice at the same time ends in one of the two', async () => {
    const file = path.join(await mkdtemp(path.join(scratch, 'twice-')), 'model.safetensors');
    await Promise.all([writeSafetensors(file, checkpoint(1)), writeSafetensors(file, checkpoint(5))]);
    assert.ok(['1,2,3', '5,6,7'].includes(String(await firstValues(file))));
  });

  it('in bf16 takes half the bytes and gives back the rounded numbers', async () => {
    const file = path.join(scratch, 'half.safetensors');
    const data = Float32Array.from({ length: 999 }, (_, i) => Math.sin(i) * 10 ** ((i % 7) - 3));
    await writeSafetensors(file, { w: { dtype: 'BF16', shape: [999], data } });
    const reader = await openSafetensors(file);
    const got = await reader.readFloat32('w');
    await reader.close();
    data.forEach((v, i) => assert.ok(Math.abs(got[i] - v) <= Math.abs(v) * 2 ** -8, `${v} became ${got[i]}`));
  });
});

describe('a damaged file', () => {
  it('is an error that names it, or is read with as many numbers as its shapes say; nothing else happens', async () => {
    const whole = await readFile(path.join(__dirname, '../parity/safetensors/other_dtypes.safetensors'));
    const file = path.join(scratch, 'damaged.safetensors');
    const damage = fc.record({
      flips: fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
      length: fc.oneof(fc.constant(whole.length), fc.nat(whole.length + 9)),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ flips, length }) => {
        const bytes = Buffer.alloc(length);
        whole.copy(bytes);
        for (const [at, value] of flips) if (at < length) bytes[at] = value;
        await writeFile(file, bytes);
        const read = await readSafetensors(file, { nonFinite: 'allow' }).catch((error: unknown) => {
          assert.ok(error instanceof SafetensorsError, String(error));
          assert.ok(error.message.startsWith(file), error.message);
          return {};
        });
        for (const { shape, data } of Object.values<RawTensor>(read))
          assert.equal(
            data.length,
            shape.reduce((a, b) => a * b, 1),
          );
      }),
      { numRuns: 300 },
    );
  });
});

describe('an index', () => {
  it('that names several files that are not there is told all of them; a tensor placed twice, too', async () => {
    const folder = await mkdtemp(path.join(scratch, 'index-'));
    const file = path.join(folder, 'model.safetensors.index.json');
    await writeFile(
      file,
      JSON.stringify({ weight_map: { x: '1.safetensors', y: '2.safetensors', z: '2.safetensors' } }),
    );
    await assert.rejects(
      readSafetensors(folder),
      /'1\.safetensors' \(1 tensors\), '2\.safetensors' \(2 tensors\), which are not there/,
    );
    await writeFile(file, '{"weight_map": {"x": "1.safetensors", "x": "2.safetensors"}}');
    await assert.rejects(readSafetensors(folder), { code: 'duplicate_key', tensor: 'x' });
  });

  it('whose file has a tensor with infinite values: reading it as float32 warns, or is an error, or says nothing', async () => {
    const file = path.join(scratch, 'infinite.safetensors');
    await writeSafetensors(file, { w: { dtype: 'F16', shape: [2], data: Float32Array.of(1, Infinity) } });
    const reader = await openSafetensors(file);
    await assert.rejects(reader.readFloat32('w', { nonFinite: 'error' }), /tensor 'w': 0 NaN and 1 infinite of its 2/);
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listen);
    await reader.readFloat32('w', { nonFinite: 'allow' });
    await reader.readFloat32('w');
    await new Promise(setImmediate);
    process.off('warning', listen);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /infinite\.safetensors: tensor 'w'/);
    await reader.close();
  });
});
