/**
 * A small residual conv net for small images: every level halves the size, then has residual blocks. The scorers of the
 * mini world are built on it, each with weights of its own.
 */
import { tf } from '../engine';
import { normSwish, ResBlock } from './convolutional-blocks';
import { Conv2d, GroupNorm } from './layers';
import { Module } from './module';

/** Groups of its norms. Few: statistics of single channels would wash out the very colors that are to be told apart. */
const GROUPS = 4;

export interface ConvBackboneConfig {
  /** Channels after each halving; multiples of 4. */
  readonly channels: readonly number[];
  /** Residual blocks after each halving. */
  readonly blocks: readonly number[];
}

/** How many pixels one place of the output covers along each axis. */
export function backboneStride({ channels }: ConvBackboneConfig): number {
  return 2 ** channels.length;
}

/** Channels of the features. */
export function backboneFeatures({ channels }: ConvBackboneConfig): number {
  return channels[channels.length - 1];
}

interface LevelConfig {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly blocks: number;
}

class Level extends Module<LevelConfig> {
  readonly down = new Conv2d(this.config.inputs, this.config.outputs, this.config.kernel, { stride: 2 });
  readonly norm = new GroupNorm(this.config.outputs, GROUPS);
  readonly block = Array.from({ length: this.config.blocks }, () => {
    const { outputs } = this.config;
    return new ResBlock({ inputs: outputs, outputs, groups: GROUPS });
  });

  forward(x: tf.Tensor4D): tf.Tensor4D {
    let h = normSwish(this.norm, this.down.forward(x));
    for (const block of this.block) h = block.forward(h);
    return h;
  }
}

/** Its levels are named by number, `0.down.weight`, beside `norm_out`. */
export class ConvBackbone extends Module<ConvBackboneConfig> {
  readonly [level: number]: Level;
  readonly norm_out: GroupNorm;

  /** @throws RangeError for channels that are no multiple of 4, or lists of different length */
  constructor(config: ConvBackboneConfig) {
    super(config);
    const { channels, blocks } = config;
    if (channels.length !== blocks.length) throw new RangeError('backbone: channels and blocks differ in length');
    for (const count of channels)
      if (count % GROUPS || count < GROUPS)
        throw new RangeError(`backbone: ${count} channels are not a multiple of ${GROUPS}`);
    const levels = channels.map((outputs, level) => {
      const inputs = level === 0 ? 3 : channels[level - 1];
      return new Level({ inputs, outputs, kernel: level === 0 ? 4 : 3, blocks: blocks[level] });
    });
    Object.assign(this, levels);
    this.norm_out = new GroupNorm(backboneFeatures(config), GROUPS);
  }

  /**
   * Pixels `[batch, height, width, 3]` in [-1, 1] -> features `[batch, height / stride, width / stride, channels]`.
   * @throws RangeError for pixels of another shape
   */
  forward(pixels: tf.Tensor4D): tf.Tensor4D {
    const stride = backboneStride(this.config);
    const { shape } = pixels;
    if (shape.length !== 4 || shape[3] !== 3 || shape[1] % stride || shape[2] % stride)
      throw new RangeError(
        `expected pixels [batch, height, width, 3] with sides divisible by ${stride}, got [${shape}]`,
      );
    return tf.tidy(() => {
      let h = pixels;
      for (let level = 0; level < this.config.channels.length; level++) h = this[level].forward(h);
      return normSwish(this.norm_out, h);
    });
  }
}
