import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { type RawTensor, readSafetensors, writeSafetensors } from '../../../src/io';
import { Lpips } from '../../../src/models/scorers/lpips';
import { Vgg16, VGG16_CHANNELS } from '../../../src/models/scorers/vgg';
import { parameterCount } from '../../../src/nn/store';

const fixture = path.join(__dirname, '../../parity/lpips');
let scratch: string;
let lpips: Lpips;
let tensors: Record<string, RawTensor>;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-lpips-'));
  tensors = await readSafetensors(path.join(fixture, 'lpips_full.safetensors'));
  lpips = Lpips.fromTensors(tensors, 'fixture');
});
after(() => rm(scratch, { recursive: true }));

const images = (seed: number, count: number, height = 24, width = 20): tf.Tensor4D =>
  tf
    .tensor4d(new Rng(seed).uniform(count * height * width * 3), [count, height, width, 3])
    .mul(2)
    .sub(1);

test('a batch larger than a chunk gives what its pairs give alone; equal images are 0 apart; nothing leaks', () => {
  const [a, b] = [images(1, 6), images(2, 6)];
  const start = tf.memory().numTensors;
  const whole = lpips.distance(a, b);
  assert.equal(tf.memory().numTensors, start);
  const row = (x: tf.Tensor4D, i: number): tf.Tensor4D => tf.slice(x, [i, 0, 0, 0], [1, -1, -1, -1]);
  for (const i of [0, 3, 4, 5]) {
    const [alone] = lpips.distance(row(a, i), row(b, i));
    assert.ok(Math.abs(alone - whole[i]) < 1e-6, `pair ${i}: ${alone} and ${whole[i]}`);
    assert.ok(alone > 0.01);
  }
  assert.deepEqual(Array.from(lpips.distance(a, a)), [0, 0, 0, 0, 0, 0]);
  lpips.distance(b, a).forEach((d, i) => assert.ok(Math.abs(d - whole[i]) < 1e-6, 'symmetric'));
});

test("torchvision's classifier is passed over, and everything that does not fit is listed at once", async () => {
  const file = path.join(scratch, 'vgg.safetensors');
  const vgg = await readSafetensors(path.join(fixture, 'vgg16.safetensors'));
  await writeSafetensors(file, { ...vgg, 'classifier.0.bias': { dtype: 'F32', shape: [1], data: Float32Array.of(1) } });
  const both = await Lpips.load(file, path.join(fixture, 'lpips_lin.safetensors'));
  const [a, b] = [images(1, 1), images(2, 1)];
  assert.deepEqual(both.distance(a, b), lpips.distance(a, b));
  both.dispose();
  const broken: Record<string, RawTensor> = { ...tensors, 'net.slice6.30.weight': tensors['net.slice1.0.weight'] };
  delete broken['lin2.model.1.weight'];
  delete broken['lins.2.model.1.weight'];
  broken['net.slice2.7.bias'] = tensors['net.slice1.0.bias'];
  assert.throws(
    () => Lpips.fromTensors(broken, 'a file'),
    /a file does not fit.*\n.*features\.7\.bias: expected \[8\], found \[4\]\n.*missing: lin2\.model\.1\.weight \[1,16,1,1\]\n.*unknown: features\.30\.weight/,
  );
});

test('images of two shapes, of one channel or too small are refused with their shapes', () => {
  assert.throws(() => lpips.distance(images(1, 2), images(1, 1)), /\[2,24,20,3\] and \[1,24,20,3\]/);
  assert.throws(() => lpips.distance(images(1, 1, 8, 32), images(1, 1, 8, 32)), /at least 16, got \[1,8,32,3\]/);
});

test('VGG16 as published has 14,714,688 weights before its classifier', () => {
  assert.equal(parameterCount(new Vgg16({ channels: VGG16_CHANNELS })), 14_714_688);
});
