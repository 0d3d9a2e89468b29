/**
 * InceptionResnetV1 (Szegedy et al. 2017, as FaceNet's authors and facenet-pytorch have it) under facenet-pytorch's
 * names. NHWC; every convolution but a block's last is followed by batch normalization and ReLU.
 */
import { tf } from '../../../engine';
import { Conv2d, Linear } from '../../../nn/layers';
import { Module, Parameter } from '../../../nn/module';

/** Length of an embedding. */
export const EMBEDDING_SIZE = 512;
/** Below this a valid convolution or pooling would have nothing to look at. */
export const LEAST_SIDE = 75;

/** TensorFlow's value, kept by the conversion; PyTorch's own would be 1e-5. */
const NORM_EPS = 1e-3;
const FEATURES = 1792;

/** Batch normalization with the statistics of training. */
class BatchNorm extends Module<{ readonly size: number }> {
  readonly weight = new Parameter<tf.Tensor1D>([this.config.size], { constant: 1 });
  readonly bias = new Parameter<tf.Tensor1D>([this.config.size], { constant: 0 });
  readonly running_mean = new Parameter<tf.Tensor1D>([this.config.size], { constant: 0 });
  readonly running_var = new Parameter<tf.Tensor1D>([this.config.size], { constant: 1 });

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const { weight, bias, running_mean: mean, running_var: variance } = this;
    return tf.batchNorm(x, mean.value, variance.value, bias.value, weight.value, NORM_EPS);
  }
}

interface ConvolutionConfig {
  readonly inputs: number;
  readonly outputs: number;
  /** Rows and columns of the kernel. */
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: 'same' | 'valid';
}

/** Convolution, batch normalization, ReLU. */
class Convolution extends Module<ConvolutionConfig> {
  readonly conv = heConvolution(this.config);
  readonly bn = new BatchNorm({ size: this.config.outputs });

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.relu(this.bn.forward(this.conv.forward(x)));
  }
}

/** First weights as He et al. (2015) draw them, which keeps the variance through ReLU. */
function heConvolution({ inputs, outputs, kernel, stride, pad }: ConvolutionConfig): Conv2d {
  const std = Math.sqrt(2 / (inputs * kernel[0] * kernel[1]));
  return new Conv2d(inputs, outputs, kernel, { stride, pad, std, bias: false });
}

const one = [1, 1] as const;
const three = [3, 3] as const;
const down = { stride: 2, pad: 'valid' } as const;

function convolution(
  inputs: number,
  outputs: number,
  kernel: readonly [number, number],
  { stride = 1, pad = 'same' }: { stride?: number; pad?: 'same' | 'valid' } = {},
): Convolution {
  return new Convolution({ inputs, outputs, kernel, stride, pad });
}

/** One path through a block: a convolution, or several in order. */
type Branch = Convolution | readonly Convolution[];

function through(branch: Branch, x: tf.Tensor4D): tf.Tensor4D {
  if (branch instanceof Convolution) return branch.forward(x);
  return branch.reduce((h, layer) => layer.forward(h), x);
}

interface ResidualConfig {
  readonly channels: number;
  /** Share of the block's result that is added. */
  readonly scale: number;
  readonly relu: boolean;
}

/** Branches side by side, joined by a 1 x 1 convolution, scaled and added to what came in. */
abstract class Residual extends Module<ResidualConfig> {
  abstract readonly conv2d: Conv2d;
  protected abstract branches(): readonly Branch[];

  forward(x: tf.Tensor4D): tf.Tensor4D {
    // A tidy of its own: memory is one block's, not the network's.
    return tf.tidy(() => {
      const joined = tf.concat(
        this.branches().map((branch) => through(branch, x)),
        3,
      );
      const sum = tf.add<tf.Tensor4D>(tf.mul(this.conv2d.forward(joined), this.config.scale), x);
      return this.config.relu ? tf.relu(sum) : sum;
    });
  }
}

class Block35 extends Residual {
  readonly branch0 = convolution(256, 32, one);
  readonly branch1 = [convolution(256, 32, one), convolution(32, 32, three)];
  readonly branch2 = [convolution(256, 32, one), convolution(32, 32, three), convolution(32, 32, three)];
  readonly conv2d = new Conv2d(96, 256, 1);

  constructor() {
    super({ channels: 256, scale: 0.17, relu: true });
  }

  protected branches(): readonly Branch[] {
    return [this.branch0, this.branch1, this.branch2];
  }
}

/** Blocks 17 and 8: a 1 x 1 branch, and one whose square kernel is split into a row and a column of `length`. */
class SplitBlock extends Residual {
  readonly branch0: Convolution;
  readonly branch1: readonly Convolution[];
  readonly conv2d: Conv2d;

  constructor(config: ResidualConfig, inner: number, length: number) {
    super(config);
    const { channels } = config;
    this.branch0 = convolution(channels, inner, one);
    this.branch1 = [
      convolution(channels, inner, one),
      convolution(inner, inner, [1, length]),
      convolution(inner, inner, [length, 1]),
    ];
    this.conv2d = new Conv2d(2 * inner, channels, 1);
  }

  protected branches(): readonly Branch[] {
    return [this.branch0, this.branch1];
  }
}

/** Branches that halve the map, with a 3 x 3 max pooling beside them. */
function halved(x: tf.Tensor4D, branches: readonly Branch[]): tf.Tensor4D {
  return tf.concat([...branches.map((branch) => through(branch, x)), tf.maxPool(x, 3, 2, 'valid')], 3);
}

const block17 = () => new SplitBlock({ channels: 896, scale: 0.1, relu: true }, 128, 7);
const block8 = (scale: number, relu: boolean) => new SplitBlock({ channels: FEATURES, scale, relu }, 192, 3);

export class FaceNetNetwork extends Module<{ readonly classes: number }> {
  readonly conv2d_1a = convolution(3, 32, three, down);
  readonly conv2d_2a = convolution(32, 32, three, { pad: 'valid' });
  readonly conv2d_2b = convolution(32, 64, three);
  readonly conv2d_3b = convolution(64, 80, one);
  readonly conv2d_4a = convolution(80, 192, three, { pad: 'valid' });
  readonly conv2d_4b = convolution(192, 256, three, down);
  readonly repeat_1 = Array.from({ length: 5 }, () => new Block35());
  readonly mixed_6a = {
    branch0: convolution(256, 384, three, down),
    branch1: [convolution(256, 192, one), convolution(192, 192, three), convolution(192, 256, three, down)],
  };
  readonly repeat_2 = Array.from({ length: 10 }, block17);
  readonly mixed_7a = {
    branch0: [convolution(896, 256, one), convolution(256, 384, three, down)],
    branch1: [convolution(896, 256, one), convolution(256, 256, three, down)],
    branch2: [convolution(896, 256, one), convolution(256, 256, three), convolution(256, 256, three, down)],
  };
  readonly repeat_3 = Array.from({ length: 5 }, () => block8(0.2, true));
  readonly block8 = block8(1, false);
  readonly last_linear = new Linear(FEATURES, EMBEDDING_SIZE, { bias: false, std: FEATURES ** -0.5 });
  readonly last_bn = new BatchNorm({ size: EMBEDDING_SIZE });
  /** The classifier that training used, where the weights came with one. */
  readonly logits =
    this.config.classes > 0
      ? new Linear(EMBEDDING_SIZE, this.config.classes, { std: EMBEDDING_SIZE ** -0.5 })
      : undefined;

  /**
   * Embeddings before they are scaled to length 1, `[batch, 512]`.
   * @param faces `[batch, height, width, 3]`, as `fixedImageStandardization` makes them; sides of at least 75
   */
  forward(faces: tf.Tensor4D): tf.Tensor2D {
    const { mixed_6a, mixed_7a } = this;
    return tf.tidy(() => {
      const stem = through([this.conv2d_1a, this.conv2d_2a, this.conv2d_2b], faces);
      let h = through([this.conv2d_3b, this.conv2d_4a, this.conv2d_4b], tf.maxPool(stem, 3, 2, 'valid'));
      for (const block of this.repeat_1) h = block.forward(h);
      h = halved(h, [mixed_6a.branch0, mixed_6a.branch1]);
      for (const block of this.repeat_2) h = block.forward(h);
      h = halved(h, [mixed_7a.branch0, mixed_7a.branch1, mixed_7a.branch2]);
      for (const block of [...this.repeat_3, this.block8]) h = block.forward(h);
      const flat = this.last_linear.forward(tf.mean<tf.Tensor2D>(h, [1, 2]));
      // tf.batchNorm takes four axes on some engines: two of length 1 stand in.
      const four = tf.reshape<tf.Rank.R4>(flat, [-1, 1, 1, EMBEDDING_SIZE]);
      return tf.reshape<tf.Rank.R2>(this.last_bn.forward(four), [-1, EMBEDDING_SIZE]);
    });
  }
}
