/**
 * The blocks that VQGAN-style image tokenizers are made of (taming-transformers' names): residual block, one-head
 * attention over positions, down- and upsampling. NHWC.
 */
import { attention, silu, tf } from '../engine';
import { Conv2d, GroupNorm } from './layers';
import { Module } from './module';

export interface BlockConfig {
  readonly inputs: number;
  readonly outputs: number;
  /** Of GroupNorm. Default 32, as published. */
  readonly groups?: number;
}

/** GroupNorm, then swish. */
export function normSwish(norm: GroupNorm, x: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => silu(norm.forward(x)) as tf.Tensor4D);
}

/** Two norm-swish-conv layers around a shortcut. */
export class ResBlock extends Module<BlockConfig> {
  readonly norm1 = new GroupNorm(this.config.inputs, this.config.groups);
  readonly conv1 = new Conv2d(this.config.inputs, this.config.outputs, 3);
  readonly norm2 = new GroupNorm(this.config.outputs, this.config.groups);
  readonly conv2 = new Conv2d(this.config.outputs, this.config.outputs, 3);
  readonly nin_shortcut =
    this.config.inputs === this.config.outputs ? undefined : new Conv2d(this.config.inputs, this.config.outputs, 1);

  forward(x: tf.Tensor4D): tf.Tensor4D {
    // A tidy of its own: of large images, what every block computes on its way would fill the memory.
    return tf.tidy(() => {
      const h = this.conv1.forward(normSwish(this.norm1, x));
      const sum = this.conv2.forward(normSwish(this.norm2, h));
      return tf.add(this.nin_shortcut?.forward(x) ?? x, sum);
    });
  }
}

/** One head over all positions, scale channels^-1/2, around a shortcut. */
export class AttnBlock extends Module<{ readonly channels: number; readonly groups?: number }> {
  readonly norm = new GroupNorm(this.config.channels, this.config.groups);
  readonly q = new Conv2d(this.config.channels, this.config.channels, 1);
  readonly k = new Conv2d(this.config.channels, this.config.channels, 1);
  readonly v = new Conv2d(this.config.channels, this.config.channels, 1);
  readonly proj_out = new Conv2d(this.config.channels, this.config.channels, 1);

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const [batch, height, width, channels] = x.shape;
    return tf.tidy(() => {
      const h = this.norm.forward(x);
      const [q, k, v] = [this.q, this.k, this.v].map((part) =>
        tf.reshape<tf.Rank.R4>(part.forward(h), [batch, 1, height * width, channels]),
      );
      const mixed = attention(q, k, v, null, channels ** -0.5);
      return tf.add(x, this.proj_out.forward(tf.reshape<tf.Rank.R4>(mixed, [batch, height, width, channels])));
    });
  }
}

/** Zeros on the right and at the bottom, then 3x3 with stride 2: half the size. */
export class Downsample extends Module<{ readonly channels: number }> {
  readonly conv = new Conv2d(this.config.channels, this.config.channels, 3, { stride: 2, pad: 'valid' });

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const right = tf.pad(x, [
      [0, 0],
      [0, 1],
      [0, 1],
      [0, 0],
    ]);
    return this.conv.forward(right);
  }
}

/** Nearest neighbor to twice the size, then 3x3. */
export class Upsample extends Module<{ readonly channels: number }> {
  readonly conv = new Conv2d(this.config.channels, this.config.channels, 3);

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.conv.forward(repeatTwice(x));
  }
}

/** Every pixel twice along both axes. Concatenation, because it has a correct gradient on every engine. */
export function repeatTwice(x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const wide = tf.reshape(tf.concat([x, x], 3), [batch, height, width * 2 * channels]);
  return tf.reshape(tf.concat([wide, wide], 2), [batch, height * 2, width * 2, channels]);
}
