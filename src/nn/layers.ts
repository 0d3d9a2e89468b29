/** The layers that everything is made of: linear, embedding, norms, convolution. */
import { groupNorm, layerNorm, linear, rmsNorm, tf } from '../engine';
import { Module, Parameter } from './module';

/** Standard deviation of first weights, as GPT-2 and its followers begin. */
const STD = 0.02;

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Standard deviation of the first weights. Default 0.02. */
  readonly std?: number;
  /** The table whose rows are this layer's weight (tied embeddings). Default: a weight of its own. */
  readonly tiedTo?: Embedding;
}

/** `x W^T + b` over the last axis, of any rank. */
export class Linear extends Module<Required<Omit<LinearOptions, 'tiedTo'>>> {
  /** `[out, in]` */
  readonly weight: Parameter<tf.Tensor2D>;
  /** `[out]` */
  readonly bias: Parameter<tf.Tensor1D> | undefined;

  constructor(inputs: number, outputs: number, { bias = true, std = STD, tiedTo }: LinearOptions = {}) {
    super({ bias, std });
    this.weight = tiedTo?.weight ?? new Parameter([outputs, inputs], { normal: std });
    this.bias = bias ? new Parameter([outputs], { constant: 0 }) : undefined;
  }

  /** @throws RangeError when the last axis is not `in` wide, with both shapes */
  forward<X extends tf.Tensor>(x: X): X {
    this.checkInputs(x);
    return tf.tidy(() => this.weight.product(x, this.bias?.value ?? null));
  }

  /** Outputs `from` .. `from + count - 1` alone: an image needs the logits of its codes only. @returns `[..., count]` */
  outputs<X extends tf.Tensor>(x: X, from: number, count: number): X {
    this.checkInputs(x);
    return tf.tidy(() => {
      const weight = tf.slice(this.weight.value, [from, 0], [count, -1]);
      return linear(x, weight, this.bias && tf.slice(this.bias.value, [from], [count])) as X;
    });
  }

  private checkInputs(x: tf.Tensor): void {
    if (x.rank === 0 || x.shape[x.rank - 1] !== this.weight.shape[1])
      throw new RangeError(`linear: x [${x.shape}] does not fit the weight [${this.weight.shape}], read as [out, in]`);
  }
}

/** Rows of a table. */
export class Embedding extends Module<{ readonly std: number }> {
  /** `[count, width]` */
  readonly weight: Parameter<tf.Tensor2D>;

  /** @param std standard deviation of the first rows; default 0.02 */
  constructor(count: number, width: number, std = STD) {
    super({ std });
    this.weight = new Parameter([count, width], { normal: std });
  }

  /** @param ids int32 `[batch, tokens]` @returns `[batch, tokens, width]` */
  forward(ids: tf.Tensor2D): tf.Tensor3D {
    return this.weight.rows(ids) as tf.Tensor3D;
  }
}

/** LayerNorm over the last axis (Ba et al. 2016), with scale and shift. */
export class LayerNorm extends Module<{ readonly eps: number }> {
  readonly weight: Parameter<tf.Tensor1D>;
  readonly bias: Parameter<tf.Tensor1D>;

  /** @param eps added to the variance */
  constructor(size: number, eps: number) {
    super({ eps });
    this.weight = new Parameter([size], { constant: 1 });
    this.bias = new Parameter([size], { constant: 0 });
  }

  forward<X extends tf.Tensor>(x: X): X {
    return layerNorm(x, this.weight.value, this.bias.value, this.config.eps) as X;
  }
}

/** RMSNorm over the last axis (Zhang and Sennrich 2019), with scale. */
export class RmsNorm extends Module<{ readonly eps: number }> {
  readonly weight: Parameter<tf.Tensor1D>;

  /** @param eps added to the mean square */
  constructor(size: number, eps: number) {
    super({ eps });
    this.weight = new Parameter([size], { constant: 1 });
  }

  forward<X extends tf.Tensor>(x: X): X {
    return rmsNorm(x, this.weight.value, this.config.eps) as X;
  }
}

/** Groups of GroupNorm in the published image tokenizers. */
export const NORM_GROUPS = 32;

/** GroupNorm (Wu and He 2018) over groups of channels, NHWC, eps 1e-6. */
export class GroupNorm extends Module<{ readonly groups: number }> {
  readonly weight: Parameter<tf.Tensor1D>;
  readonly bias: Parameter<tf.Tensor1D>;

  constructor(channels: number, groups = NORM_GROUPS) {
    super({ groups });
    this.weight = new Parameter([channels], { constant: 1 });
    this.bias = new Parameter([channels], { constant: 0 });
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return groupNorm(x, this.weight.value, this.bias.value, this.config.groups, 1e-6) as tf.Tensor4D;
  }
}

export interface ConvOptions {
  /** Both ways, or height and width. Default 1. */
  readonly stride?: number | readonly [number, number];
  /** `same`: as large as the input (divided by the stride); a number: zeros on each side, as PyTorch has it. Default `same`. */
  readonly pad?: 'same' | 'valid' | number;
  /** Default true. */
  readonly bias?: boolean;
  /** Standard deviation of the first weights. Default: Kaiming-uniform's, as PyTorch begins. */
  readonly std?: number;
}

/** A convolution, NHWC. */
export class Conv2d extends Module<Required<Omit<ConvOptions, 'std'>>> {
  /** Upstream's `[out, in, height, width]`, held as `[height, width, in, out]`. */
  readonly weight: Parameter<tf.Tensor4D>;
  /** `[out]` */
  readonly bias: Parameter<tf.Tensor1D> | undefined;

  /** @param size of the kernel, both sides or height and width */
  constructor(
    inputs: number,
    outputs: number,
    size: number | readonly [number, number],
    { stride = 1, pad = 'same', bias = true, std }: ConvOptions = {},
  ) {
    super({ stride, pad, bias });
    const [height, width] = typeof size === 'number' ? [size, size] : size;
    const normal = std ?? 1 / Math.sqrt(3 * inputs * height * width);
    this.weight = new Parameter([outputs, inputs, height, width], { normal }, 'conv');
    this.bias = bias ? new Parameter([outputs], { constant: 0 }) : undefined;
  }

  /** @param x `[batch, height, width, in]` @returns `[batch, height / stride, width / stride, out]` */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    const { stride, pad } = this.config;
    const product = tf.conv2d(x, this.weight.value, typeof stride === 'number' ? stride : [...stride], pad);
    return this.bias ? tf.add(product, this.bias.value) : product;
  }
}
