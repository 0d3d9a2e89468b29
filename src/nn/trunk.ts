/**
 * A small residual conv net for 64 x 64 images: every level halves the size, then has residual blocks. The judges of
 * the mini world are built on it, each with weights of its own.
 */
import { silu, type tf } from '../engine';
import { conv, declareConv, declareNorm, declareResBlock, norm, resBlock } from './conv';
import type { ParameterSpec, Parameters } from './parameters';

/** Groups of its norms. Few: statistics of single channels would wash out the very colors that are to be told apart. */
const GROUPS = 4;

export interface TrunkConfig {
  /** Channels after each halving; multiples of 4. */
  readonly channels: readonly number[];
  /** Residual blocks after each halving. */
  readonly blocks: readonly number[];
}

/** 64 x 64 -> 8 x 8 places of 128 features; half a million parameters, about 0.1 GFLOP an image. */
export const JUDGE_TRUNK: TrunkConfig = { channels: [32, 64, 128], blocks: [0, 1, 1] };

/** How many pixels one place of the output covers along each axis. */
export function trunkStride(config: TrunkConfig): number {
  return 2 ** config.channels.length;
}

/** @throws RangeError for channels that are no multiple of 4, or lists of different length */
export function declareTrunk(specs: Record<string, ParameterSpec>, name: string, config: TrunkConfig): void {
  if (config.channels.length !== config.blocks.length)
    throw new RangeError('trunk: channels and blocks differ in length');
  let before = 3;
  config.channels.forEach((channels, level) => {
    if (channels % GROUPS || channels < GROUPS)
      throw new RangeError(`trunk: ${channels} channels are not a multiple of ${GROUPS}`);
    declareConv(specs, `${name}.${level}.down`, before, channels, level === 0 ? 4 : 3);
    declareNorm(specs, `${name}.${level}.norm`, channels);
    for (let block = 0; block < config.blocks[level]; block++)
      declareResBlock(specs, `${name}.${level}.block.${block}`, channels, channels);
    before = channels;
  });
  declareNorm(specs, `${name}.norm_out`, before);
}

/**
 * Pixels `[batch, height, width, 3]` in [-1, 1] -> features `[batch, height / stride, width / stride, channels]`.
 * @throws RangeError for pixels of another shape
 */
export function trunk(p: Parameters, name: string, config: TrunkConfig, pixels: tf.Tensor4D): tf.Tensor4D {
  const stride = trunkStride(config);
  const { shape } = pixels;
  if (shape.length !== 4 || shape[3] !== 3 || shape[1] % stride || shape[2] % stride) {
    throw new RangeError(`expected pixels [batch, height, width, 3] with sides divisible by ${stride}, got [${shape}]`);
  }
  let h = pixels;
  config.channels.forEach((_, level) => {
    h = conv(p, `${name}.${level}.down`, h, 2);
    h = silu(norm(p, `${name}.${level}.norm`, h, GROUPS)) as tf.Tensor4D;
    for (let block = 0; block < config.blocks[level]; block++)
      h = resBlock(p, `${name}.${level}.block.${block}`, h, GROUPS);
  });
  return silu(norm(p, `${name}.norm_out`, h, GROUPS)) as tf.Tensor4D;
}
