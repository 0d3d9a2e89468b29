/**
 * InceptionResnetV1 (Szegedy et al. 2017, as FaceNet's authors and facenet-pytorch have it) under facenet-pytorch's
 * names. NHWC; every convolution but a block's last is followed by batch normalization and ReLU.
 */
import { tf } from '../../../engine';
import { conv, declareConv } from '../../../nn/conv';
import type { ParameterSpec, Parameters } from '../../../nn/parameters';

/** Length of an embedding. */
export const EMBEDDING_SIZE = 512;
/** Below this a valid convolution or pooling would have nothing to look at. */
export const LEAST_SIDE = 75;

/** TensorFlow's value, kept by the conversion; PyTorch's own would be 1e-5. */
const NORM_EPS = 1e-3;

interface Convolution {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Rows and columns of the kernel. */
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: 'same' | 'valid';
}

/** One path through a block, convolution after convolution. */
type Branch = readonly Convolution[];

/** A residual block: branches side by side, joined by a 1 x 1 convolution, scaled and added to the input. */
interface Residual {
  readonly name: string;
  readonly channels: number;
  readonly branches: readonly Branch[];
  /** Share of the block's result that is added. */
  readonly scale: number;
  readonly relu: boolean;
}

const one = [1, 1] as const;
const three = [3, 3] as const;

function convolution(
  name: string,
  from: number,
  to: number,
  kernel: readonly [number, number],
  { stride = 1, pad = 'same' }: { stride?: number; pad?: 'same' | 'valid' } = {},
): Convolution {
  return { name, from, to, kernel, stride, pad };
}

const down = { stride: 2, pad: 'valid' } as const;

const STEM: Branch = [
  convolution('conv2d_1a', 3, 32, three, down),
  convolution('conv2d_2a', 32, 32, three, { pad: 'valid' }),
  convolution('conv2d_2b', 32, 64, three),
];
const AFTER_POOL: Branch = [
  convolution('conv2d_3b', 64, 80, one),
  convolution('conv2d_4a', 80, 192, three, { pad: 'valid' }),
  convolution('conv2d_4b', 192, 256, three, down),
];

const block35 = (name: string): Residual => ({
  name,
  channels: 256,
  branches: [
    [convolution(`${name}.branch0`, 256, 32, one)],
    [convolution(`${name}.branch1.0`, 256, 32, one), convolution(`${name}.branch1.1`, 32, 32, three)],
    [
      convolution(`${name}.branch2.0`, 256, 32, one),
      convolution(`${name}.branch2.1`, 32, 32, three),
      convolution(`${name}.branch2.2`, 32, 32, three),
    ],
  ],
  scale: 0.17,
  relu: true,
});

/** Blocks 17 and 8: a 1 x 1 branch, and one whose square kernel is split into a row and a column of `length`. */
const splitBlock = (
  name: string,
  channels: number,
  inner: number,
  length: number,
  scale: number,
  relu = true,
): Residual => ({
  name,
  channels,
  branches: [
    [convolution(`${name}.branch0`, channels, inner, one)],
    [
      convolution(`${name}.branch1.0`, channels, inner, one),
      convolution(`${name}.branch1.1`, inner, inner, [1, length]),
      convolution(`${name}.branch1.2`, inner, inner, [length, 1]),
    ],
  ],
  scale,
  relu,
});

/** Branches that halve the map; a max pooling goes beside them. */
const MIXED_6A: readonly Branch[] = [
  [convolution('mixed_6a.branch0', 256, 384, three, down)],
  [
    convolution('mixed_6a.branch1.0', 256, 192, one),
    convolution('mixed_6a.branch1.1', 192, 192, three),
    convolution('mixed_6a.branch1.2', 192, 256, three, down),
  ],
];
const MIXED_7A: readonly Branch[] = [
  [convolution('mixed_7a.branch0.0', 896, 256, one), convolution('mixed_7a.branch0.1', 256, 384, three, down)],
  [convolution('mixed_7a.branch1.0', 896, 256, one), convolution('mixed_7a.branch1.1', 256, 256, three, down)],
  [
    convolution('mixed_7a.branch2.0', 896, 256, one),
    convolution('mixed_7a.branch2.1', 256, 256, three),
    convolution('mixed_7a.branch2.2', 256, 256, three, down),
  ],
];

const times = (count: number, make: (i: number) => Residual): Residual[] => Array.from({ length: count }, (_, i) => make(i)); // prettier-ignore
const REPEAT_1 = times(5, (i) => block35(`repeat_1.${i}`));
const REPEAT_2 = times(10, (i) => splitBlock(`repeat_2.${i}`, 896, 128, 7, 0.1));
const REPEAT_3 = [
  ...times(5, (i) => splitBlock(`repeat_3.${i}`, 1792, 192, 3, 0.2)),
  splitBlock('block8', 1792, 192, 3, 1, false),
];
const FEATURES = 1792;

/** Every parameter under its upstream name. @param classes of the classifier that training used; 0: there is none */
export function facenetSpecs(classes: number): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  const norm = (name: string, size: number) => {
    for (const [part, constant] of [
      ['weight', 1],
      ['bias', 0],
      ['running_mean', 0],
      ['running_var', 1],
    ] as const)
      // prettier-ignore
      specs[`${name}.${part}`] = { shape: [size], init: { constant } };
  };
  const branch = (list: Branch) => {
    for (const { name, from, to, kernel } of list) {
      const std = Math.sqrt(2 / (from * kernel[0] * kernel[1])); // He: keeps the variance through ReLU
      specs[`${name}.conv.weight`] = { shape: [to, from, ...kernel], init: { normal: std }, layout: 'conv' };
      norm(`${name}.bn`, to);
    }
  };
  const residual = ({ name, channels, branches }: Residual) => {
    branches.forEach(branch);
    const inner = branches.reduce((sum, list) => sum + list[list.length - 1].to, 0);
    declareConv(specs, `${name}.conv2d`, inner, channels, 1);
  };
  [STEM, AFTER_POOL, ...MIXED_6A, ...MIXED_7A].forEach(branch);
  [...REPEAT_1, ...REPEAT_2, ...REPEAT_3].forEach(residual);
  specs['last_linear.weight'] = { shape: [EMBEDDING_SIZE, FEATURES], init: { normal: FEATURES ** -0.5 } };
  norm('last_bn', EMBEDDING_SIZE);
  if (classes > 0) {
    specs['logits.weight'] = { shape: [classes, EMBEDDING_SIZE], init: { normal: EMBEDDING_SIZE ** -0.5 } };
    specs['logits.bias'] = { shape: [classes], init: { constant: 0 } };
  }
  return specs;
}

function runBranch(p: Parameters, x: tf.Tensor4D, branch: Branch): tf.Tensor4D {
  let h = x;
  for (const { name, stride, pad } of branch) {
    const kernel = p.get(`${name}.conv.weight`) as tf.Tensor4D;
    h = tf.relu(normed(p, `${name}.bn`, tf.conv2d(h, kernel, stride, pad)));
  }
  return h;
}

/** Batch normalization with the statistics of training. */
function normed<T extends tf.Tensor>(p: Parameters, name: string, x: T): T {
  const part = (key: string) => p.get(`${name}.${key}`) as tf.Tensor1D;
  return tf.batchNorm(x, part('running_mean'), part('running_var'), part('bias'), part('weight'), NORM_EPS) as T;
}

function runResidual(p: Parameters, x: tf.Tensor4D, { name, branches, scale, relu }: Residual): tf.Tensor4D {
  const joined = tf.concat(branches.map((branch) => runBranch(p, x, branch)), 3); // prettier-ignore
  const sum = tf.add<tf.Tensor4D>(tf.mul(conv(p, `${name}.conv2d`, joined), scale), x);
  return relu ? tf.relu(sum) : sum;
}

/** The branches and a 3 x 3 max pooling, all by 2, side by side. */
function runMixed(p: Parameters, x: tf.Tensor4D, branches: readonly Branch[]): tf.Tensor4D {
  return tf.concat([...branches.map((branch) => runBranch(p, x, branch)), tf.maxPool(x, 3, 2, 'valid')], 3);
}

/**
 * Embeddings before they are scaled to length 1, `[batch, 512]`.
 * @param faces `[batch, height, width, 3]`, as `fixedImageStandardization` makes them; sides of at least 75
 */
export function facenetEmbeddings(p: Parameters, faces: tf.Tensor4D): tf.Tensor2D {
  return tf.tidy(() => {
    let h = runBranch(p, tf.maxPool(runBranch(p, faces, STEM), 3, 2, 'valid'), AFTER_POOL);
    const through = (blocks: readonly Residual[]) => {
      // A tidy a block: memory is one block's, not the network's.
      for (const block of blocks) h = tf.tidy(() => runResidual(p, h, block));
    };
    through(REPEAT_1);
    h = runMixed(p, h, MIXED_6A);
    through(REPEAT_2);
    h = runMixed(p, h, MIXED_7A);
    through(REPEAT_3);
    const pooled = tf.mean<tf.Tensor2D>(h, [1, 2]);
    // tf.batchNorm takes four axes on some engines: two of length 1 stand in.
    const flat = p.linear('last_linear', pooled);
    const four = tf.reshape<tf.Rank.R4>(flat, [-1, 1, 1, EMBEDDING_SIZE]);
    return tf.reshape<tf.Rank.R2>(normed(p, 'last_bn', four), [-1, EMBEDDING_SIZE]);
  });
}
