import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startEngine, tf } from '../../../src/engine';
import { type Image, type WritableTensor, writeSafetensors } from '../../../src/io';
import { FaceNet, fixedImageStandardization } from '../../../src/models/scorers/facenet';
import { FaceNetNetwork } from '../../../src/models/scorers/facenet/network';
import { expectedTensors } from '../../../src/nn/store';

let scratch: string;

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-facenet-'));
});
after(() => rm(scratch, { recursive: true }));

/** Numbers that any language makes alike: in [-0.5, 0.5), `n`th of the tensor number `t`. */
const plain = (n: number, t: number): number => (((n + 31 * t) * 7919) % 10007) / 10007 - 0.5;

/** Weights by that rule, at the spread that keeps activations in size, with or without a classifier. */
function plainWeights(classes: number): Record<string, WritableTensor> {
  const specs = expectedTensors(new FaceNetNetwork({ classes }));
  const names = Object.keys(specs).sort();
  const places = new Map(names.filter((name) => !name.startsWith('logits')).map((name, t) => [name, t]));
  return Object.fromEntries(
    names.map((name): [string, WritableTensor] => {
      const { shape } = specs[name];
      const count = shape.reduce((a, b) => a * b, 1);
      const spread = Math.sqrt(24 / (count / shape[0]));
      const value = (u: number): number => {
        if (shape.length > 1) return u * spread;
        if (name.endsWith('running_mean')) return 0.2 * u;
        return /running_var$|\.weight$/.test(name) ? 1 + u : 0.3 * u;
      };
      const data = Float32Array.from({ length: count }, (_, n) => value(plain(n, places.get(name) ?? 0)));
      return [name, { dtype: 'F32', shape, data }];
    }),
  );
}

function plainImage(height: number, width: number, seed: number): Image {
  const rgb = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * (7919 + seed) + seed * seed) % 256);
  return { width, height, rgb };
}

/** First numbers of the embeddings that facenet-pytorch 2.6 gives with the same weights and images. */
const REFERENCE = [
  {
    image: plainImage(80, 96, 1),
    embedding: [
      0.013641676865518093, -0.007833755575120449, -0.049470458179712296, -0.0761159360408783, -0.041734322905540466,
      -0.011289212852716446, 0.0014288416132330894, 0.012019517831504345,
    ],
  },
  {
    image: plainImage(160, 160, 2),
    embedding: [
      0.011887787841260433, -0.0087149478495121, -0.04715535417199135, -0.0726931244134903, -0.04108509048819542,
      -0.012064366601407528, 0.00018740403174888343, 0.0128030339255929,
    ],
  },
];

test("with given weights the embeddings are facenet-pytorch's; counters are passed over; nothing leaks", async () => {
  const file = path.join(scratch, 'model.safetensors');
  const counter: WritableTensor = { dtype: 'I64', shape: [], data: BigInt64Array.of(7n) };
  await writeSafetensors(file, { ...plainWeights(5), 'conv2d_1a.bn.num_batches_tracked': counter });
  const facenet = await FaceNet.load(scratch);
  const start = tf.memory().numTensors;
  for (const { image, embedding } of REFERENCE) {
    const [got] = facenet.embed([image]);
    embedding.forEach((v, i) => assert.ok(Math.abs(got[i] - v) < 2e-6, `${i}: ${got[i]}, expected ${v}`));
    assert.equal(got.length, 512);
    assert.ok(Math.abs(Math.hypot(...got) - 1) < 1e-5);
    assert.deepEqual(facenet.embed([image])[0], got, 'twice the same');
  }
  assert.equal(tf.memory().numTensors, start);
  assert.throws(() => facenet.embeddings(tf.zeros([1, 74, 160, 3])), /at least 75, got \[1,74,160,3\]/);
  assert.equal(facenet.classes, 5);
  const logits = tf.tidy(() => facenet.logits(fixedImageStandardization([REFERENCE[0].image])));
  assert.deepEqual(logits.shape, [1, 5]);
  assert.ok(logits.dataSync().every(Number.isFinite));
  facenet.dispose();
});

test('names, shapes and number of parameters are those of the published VGGFace2 model', () => {
  const specs = expectedTensors(new FaceNetNetwork({ classes: 8631 }));
  const learned = Object.entries(specs).filter(([name]) => !name.includes('.running_'));
  const count = learned.reduce((sum, [, { shape }]) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assert.equal(count, 27_910_327);
  // Its state dict has 716 tensors: a counter a batch norm stands among them.
  const norms = Object.keys(specs).filter((name) => name.endsWith('.running_var')).length;
  assert.equal(Object.keys(specs).length + norms, 716);
  for (const [name, shape] of Object.entries({
    'conv2d_4b.conv.weight': [256, 192, 3, 3],
    'repeat_1.4.branch2.2.bn.running_mean': [32],
    'repeat_1.0.conv2d.bias': [256],
    'repeat_2.9.branch1.1.conv.weight': [128, 128, 1, 7],
    'repeat_2.9.branch1.2.conv.weight': [128, 128, 7, 1],
    'mixed_6a.branch1.2.conv.weight': [256, 192, 3, 3],
    'mixed_7a.branch2.2.conv.weight': [256, 256, 3, 3],
    'repeat_3.4.branch1.1.conv.weight': [192, 192, 1, 3],
    'block8.conv2d.weight': [1792, 384, 1, 1],
    'last_linear.weight': [512, 1792],
    'last_bn.weight': [512],
    'logits.weight': [8631, 512],
  })) {
    assert.deepEqual(specs[name]?.shape, shape, name);
  }
});

test('what does not fit is listed at once', async () => {
  const file = path.join(scratch, 'other.safetensors');
  const odd: WritableTensor = { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) };
  await writeSafetensors(file, { 'block8.conv2d.bias': odd, 'extra.weight': odd });
  await assert.rejects(FaceNet.load(file), (error: Error) => {
    assert.match(error.message, /missing: conv2d_1a\.conv\.weight \[32,3,3,3\]\n/);
    assert.match(error.message, /block8\.conv2d\.bias: expected \[1792\], found \[2\]\n/);
    assert.match(error.message, /unknown: extra\.weight \[2\]/);
    return true;
  });
});

test('faces of two sizes are refused; standardisation is (value - 127.5) / 128', () => {
  assert.throws(
    () => fixedImageStandardization([plainImage(80, 80, 1), plainImage(80, 81, 1)]),
    /face 1 is 81 x 80, the first 80 x 80/,
  );
  assert.throws(() => fixedImageStandardization([]), /no faces/);
  const face: Image = { width: 1, height: 1, rgb: Uint8Array.of(0, 128, 255) };
  assert.deepEqual(
    Array.from(tf.tidy(() => fixedImageStandardization([face]).dataSync())),
    [-0.99609375, 0.00390625, 0.99609375],
  );
});
