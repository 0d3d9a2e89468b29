import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, open, readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import {
  CheckpointStore,
  JsonLines,
  type Image,
  fromTensor,
  imagesToTensor,
  readImage,
  resizeImage,
  savePng,
  tensorToImages,
  toFloat32,
  toTensor,
} from '../../src/io';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'unilab-runs-'));
});
after(() => rm(folder, { recursive: true }));

const content = (
  value: number,
): { tensors: Record<string, { dtype: 'F32'; shape: number[]; data: Float32Array }>; state: { value: number } } => ({
  tensors: { w: { dtype: 'F32', shape: [2], data: Float32Array.of(value, -value) } },
  state: { value },
});

describe('checkpoints', () => {
  it('gives back the newest and keeps the last k', async () => {
    const store = new CheckpointStore<{ value: number }>(path.join(folder, 'keep'), 2);
    assert.equal(await store.latest(), undefined);
    for (const step of [1, 2, 10, 2]) await store.save(step, content(step));
    assert.deepEqual(await store.steps(), [2, 10]);
    const got = await store.latest();
    assert.equal(got?.step, 10);
    assert.deepEqual(got?.state, { value: 10 });
    assert.deepEqual([...toFloat32(got.tensors.w)], [10, -10]);
    await assert.rejects(store.load(5), /there is none; the steps saved are 2, 10/);
  });

  it('names a broken checkpoint and falls back only when asked', async () => {
    const root = path.join(folder, 'broken');
    const store = new CheckpointStore<{ value: number }>(root, 9);
    for (const step of [1, 2, 3, 4, 5]) await store.save(step, content(step));
    const at = (step: number, file: string): string => path.join(root, `step-0000000${step}`, file);
    await truncate(at(5, 'model.safetensors'), 30);
    const bytes = await readFile(at(4, 'model.safetensors'));
    bytes[bytes.length - 1] ^= 1; // one flipped bit of data, which no header check can see
    await writeFile(at(4, 'model.safetensors'), bytes);
    await writeFile(at(3, 'state.json'), '{"format":1,');
    await rm(at(2, 'model.safetensors'));
    await assert.rejects(
      store.latest(),
      /step-00000005: model.safetensors has 30 bytes.*the one before it is .*step-00000004/,
    );
    await assert.rejects(store.load(4), /checksum differs/);
    await assert.rejects(store.load(3), /state.json cannot be read/);
    await assert.rejects(store.load(2), /model.safetensors is missing/);
    const got = await store.latest({ fallback: true });
    assert.equal(got?.step, 1);
    assert.equal(got?.skipped.length, 4);
    await rm(at(1, 'state.json'));
    await assert.rejects(store.latest({ fallback: true }), /all 5 checkpoints are broken/);
  });

  it('leaves what was saved intact when the file system gives out half-way', async () => {
    const root = path.join(folder, 'full');
    await new CheckpointStore(root).save(1, content(1));
    // A real write that fails in its middle: the shell limits files to 64 KiB, the tensor needs 400.
    const script = `
      const { CheckpointStore } = require(${JSON.stringify(path.join(__dirname, '../../src/io/checkpoints.ts'))});
      new CheckpointStore(${JSON.stringify(root)}).save(2, {
        tensors: { w: { dtype: 'F32', shape: [100000], data: new Float32Array(100000) } }, state: {},
      }).then(() => process.exit(0), (error) => { console.error(error.message); process.exit(7); });`;
    const run = spawnSync(
      'bash',
      ['-c', 'ulimit -f 64; exec "$0" -r ts-node/register/transpile-only -e "$1"', process.execPath, script],
      {
        encoding: 'utf8',
        cwd: path.join(__dirname, '../..'),
      },
    );
    assert.equal(run.status, 7, run.stderr);
    assert.match(run.stderr, /step-00000002: it was not saved: .*EFBIG.*what was saved before is intact: steps 1/);
    assert.deepEqual(await readdir(root), ['step-00000001']);
    assert.equal((await new CheckpointStore(root).latest())?.step, 1);
  });

  it('says that the disk is full', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const store = new CheckpointStore(path.join(folder, 'nospace'));
    await assert.rejects(
      store.save(3, { tensors: { w: { dtype: 'F32', shape: [1], data: () => Promise.reject(full) } }, state: 0 }),
      /the disk is full.*nothing had been saved before/,
    );
  });

  it('cleans up after a killed save and brings back a step that was being replaced', async () => {
    const root = path.join(folder, 'killed');
    const store = new CheckpointStore(root);
    await store.save(7, content(7));
    await rename(path.join(root, 'step-00000007'), path.join(root, '.step-00000007.replaced'));
    await mkdir(path.join(root, '.step-00000008.999999999.partial'));
    assert.equal((await store.latest())?.step, 7);
    await store.save(8, content(8));
    assert.deepEqual((await readdir(root)).sort(), ['step-00000007', 'step-00000008']);
  });
});

describe('JSON lines', () => {
  it('appends, survives a cut-off line and drops what a resumed run repeats', async () => {
    const file = path.join(folder, 'log', 'steps.jsonl');
    const log = await JsonLines.open<{ step: number }>(file);
    for (const step of [1, 2, 3]) await log.append({ step });
    await log.close();
    await appendFile(file, '{"step":4,"re');
    assert.deepEqual(await JsonLines.read(file), [{ step: 1 }, { step: 2 }, { step: 3 }]);
    const again = await JsonLines.open<{ step: number }>(file, ({ step }) => step <= 2);
    await again.append({ step: 3 });
    await again.close();
    assert.equal(await readFile(file, 'utf8'), '{"step":1}\n{"step":2}\n{"step":3}\n');
    await appendFile(file, 'nonsense\n{"step":4}\n');
    await assert.rejects(JsonLines.read(file), /steps.jsonl:4: not a line of JSON/);
  });

  it('lets a full disk be seen', { skip: process.platform !== 'linux' }, async () => {
    const handle = await open('/dev/full', 'a');
    const log = new (JsonLines as unknown as new (file: string, handle: unknown) => JsonLines<number>)(
      '/dev/full',
      handle,
    );
    await assert.rejects(log.append(1), { code: 'ENOSPC' });
    await handle.close();
  });
});

describe('images', () => {
  const image: Image = { width: 3, height: 2, rgb: Uint8Array.from({ length: 18 }, (_, i) => i * 14) };

  it('saves and reads the same pixels, and goes through tensors unchanged', async () => {
    const file = path.join(folder, 'images', 'a.png');
    await savePng(file, image);
    assert.deepEqual(await readImage(file), image);
    const tensor = imagesToTensor([image, image]);
    assert.deepEqual(tensor.shape, [2, 2, 3, 3]);
    assert.deepEqual((await tensorToImages(tensor))[1], image);
    tensor.dispose();
    assert.equal((await resizeImage(image, 6, 4)).rgb.length, 72);
  });

  it('says what is no image', async () => {
    const file = path.join(folder, 'text.png');
    await writeFile(file, 'no image');
    await assert.rejects(readImage(file), /text.png cannot be read as an image/);
    await assert.rejects(
      savePng(file, { width: 3, height: 3, rgb: new Uint8Array(5) }),
      /needs 27 bytes of RGB, got 5/,
    );
  });
});

describe('tensors', () => {
  it('go into a checkpoint and come back', async () => {
    const store = new CheckpointStore(path.join(folder, 'tensors'));
    const float = tf.tensor2d([1.5, -2, 3, 4], [2, 2]);
    const int = tf.tensor1d([1, 2], 'int32');
    const bool = tf.tensor1d([true, false], 'bool');
    await store.save(1, {
      tensors: { float: fromTensor(float), int: fromTensor(int), bool: fromTensor(bool) },
      state: 0,
    });
    const before = tf.memory().numTensors;
    const loaded = await store.load(1);
    const back = Object.fromEntries(Object.entries(loaded.tensors).map(([name, raw]) => [name, toTensor(raw)]));
    assert.equal(tf.memory().numTensors, before + 3);
    assert.deepEqual(await back.float.array(), [
      [1.5, -2],
      [3, 4],
    ]);
    assert.deepEqual([back.int.dtype, [...(await back.int.data())]], ['int32', [1, 2]]);
    assert.deepEqual([back.bool.dtype, [...(await back.bool.data())]], ['bool', [1, 0]]);
    tf.dispose([back, float, int, bool]);
  });
});
