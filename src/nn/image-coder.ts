/**
 * The convolutional halves of image tokenizers (Esser et al. 2021, taming-transformers' layout and names): pixels to
 * latents, and code entries to pixels. VQGAN (Chameleon, Lumina-mGPT), VQ-16 (Janus, LlamaGen) and MAGVIT-v2 (Show-o)
 * are configurations of them. NHWC.
 */
import { tf } from '../engine';
import { AttnBlock, Downsample, normSwish, ResBlock, Upsample } from './convolutional-blocks';
import { Conv2d, GroupNorm, NORM_GROUPS } from './layers';
import { Module } from './module';

export interface CoderConfig {
  /** Channels at multiplier 1; every level's channels must be a multiple of `norm_groups`. */
  readonly ch: number;
  /** Channel multiplier of each level, finest first; every level but the last halves the size. */
  readonly ch_mult: readonly number[];
  /** Residual blocks of each level, finest first. */
  readonly blocks: readonly number[];
  /** Channels of what the encoder gives and the decoder takes. */
  readonly z_channels: number;
  /** Channels of the image. Default 3. */
  readonly channels?: number;
  /** Levels, 0 the finest, whose residual blocks are each followed by attention. Default none. */
  readonly attn_levels?: readonly number[];
  /** Attention between the two middle blocks. Default true. */
  readonly mid_attention?: boolean;
  /** What `decoder.up.0` names: the finest level (taming-transformers) or the coarsest (Janus in transformers). Default `finest`. */
  readonly first_up?: 'finest' | 'coarsest';
  /** Groups of GroupNorm. Default 32, as published; small tokenizers need fewer, lest a group be a single channel. */
  readonly norm_groups?: number;
}

/** Attention levels by the rule of upstream's files: those whose side is listed, starting from `resolution`. */
export function attentionLevels(
  resolution: number,
  levels: number,
  resolutions: readonly number[] | null | undefined,
): number[] {
  return Array.from({ length: levels }, (_, level) => level).filter((level) =>
    resolutions?.includes(Math.floor(resolution / 2 ** level)),
  );
}

/** How many pixels one code covers along each axis. */
export function coderStride({ ch_mult }: Pick<CoderConfig, 'ch_mult'>): number {
  return 2 ** (ch_mult.length - 1);
}

/** @param where what the configuration is of, for errors @throws RangeError naming the field, what was found and what was expected */
export function checkCoderConfig(config: CoderConfig, where = 'image tokenizer'): void {
  const { ch, z_channels, ch_mult, blocks, attn_levels = [], norm_groups: groups = NORM_GROUPS } = config;
  const levels = ch_mult.length;
  for (const [field, value] of Object.entries({ ch, z_channels, 'the length of ch_mult': levels }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`${where}: ${field} is ${value}, expected a positive integer`);
  levelWidths(config).forEach((channels, level) => {
    if (!Number.isInteger(channels) || channels < 1 || channels % groups)
      throw new RangeError(
        `${where}: level ${level} has ${channels} channels, expected a multiple of norm_groups ${groups}`,
      );
  });
  // The first norms see `ch` channels, whatever the first multiplier is.
  if (ch % groups) throw new RangeError(`${where}: ch ${ch} is no multiple of norm_groups ${groups}`);
  if (blocks.length !== levels || blocks.some((count) => !Number.isInteger(count) || count < 0))
    throw new RangeError(`${where}: residual blocks [${blocks}] must give a whole number for each of ${levels} levels`);
  for (const level of attn_levels)
    if (!Number.isInteger(level) || level < 0 || level >= levels)
      throw new RangeError(`${where}: attn_levels names level ${level}; there are ${levels}`);
}

interface LevelConfig {
  readonly inputs: number;
  readonly outputs: number;
  readonly blocks: number;
  readonly attention: boolean;
  /** Another level follows, of half or twice the size. */
  readonly resampled: boolean;
  readonly groups?: number;
}

/** Residual blocks of one size, each followed by attention where the configuration says so. */
abstract class Level extends Module<LevelConfig> {
  readonly block = Array.from({ length: this.config.blocks }, (_, i) => {
    const { inputs, outputs, groups } = this.config;
    return new ResBlock({ inputs: i === 0 ? inputs : outputs, outputs, groups });
  });
  readonly attn = this.config.attention
    ? this.block.map(() => new AttnBlock({ channels: this.config.outputs, groups: this.config.groups }))
    : [];

  protected blocks(x: tf.Tensor4D): tf.Tensor4D {
    let h = x;
    this.block.forEach((block, i) => {
      h = block.forward(h);
      h = (this.attn as readonly (AttnBlock | undefined)[])[i]?.forward(h) ?? h;
    });
    return h;
  }

  /** Channels after the blocks: a level without blocks leaves them as they are. */
  protected width(): number {
    return this.config.blocks > 0 ? this.config.outputs : this.config.inputs;
  }
}

class DownLevel extends Level {
  readonly downsample = this.config.resampled ? new Downsample({ channels: this.width() }) : undefined;

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const h = this.blocks(x);
    return this.downsample?.forward(h) ?? h;
  }
}

class UpLevel extends Level {
  readonly upsample = this.config.resampled ? new Upsample({ channels: this.width() }) : undefined;

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const h = this.blocks(x);
    return this.upsample?.forward(h) ?? h;
  }
}

class Middle extends Module<{ readonly channels: number; readonly attention: boolean; readonly groups?: number }> {
  private readonly block = { ...this.config, inputs: this.config.channels, outputs: this.config.channels };
  readonly block_1 = new ResBlock(this.block);
  readonly attn_1 = this.config.attention ? new AttnBlock(this.config) : undefined;
  readonly block_2 = new ResBlock(this.block);

  forward(x: tf.Tensor4D): tf.Tensor4D {
    const h = this.block_1.forward(x);
    return this.block_2.forward(this.attn_1?.forward(h) ?? h);
  }
}

/** Pixels `[batch, height, width, channels]` in [-1, 1] -> `[batch, rows, columns, z_channels]`. */
export class ImageEncoder extends Module<CoderConfig> {
  readonly conv_in = new Conv2d(this.config.channels ?? 3, this.config.ch, 3);
  readonly down = downLevels(this.config);
  readonly mid = new Middle(middle(this.config, encodedWidth(this.config)));
  readonly norm_out = new GroupNorm(encodedWidth(this.config), this.config.norm_groups);
  readonly conv_out = new Conv2d(encodedWidth(this.config), this.config.z_channels, 3);

  /** @throws RangeError for other channels, or sides that the stride does not divide */
  forward(pixels: tf.Tensor4D): tf.Tensor4D {
    const { channels = 3 } = this.config;
    const stride = coderStride(this.config);
    const [, height, width, found] = pixels.shape;
    if (pixels.rank !== 4 || found !== channels || height % stride || width % stride || !height || !width)
      throw new RangeError(
        `the image tokenizer needs pixels [batch, height, width, ${channels}] with sides divisible by ${stride}, got [${pixels.shape}]`,
      );
    return tf.tidy(() => {
      let h = this.conv_in.forward(pixels);
      for (const level of this.down) h = level.forward(h);
      return this.conv_out.forward(normSwish(this.norm_out, this.mid.forward(h)));
    });
  }

  /**
   * Every cell of the code grid encoded from its own pixels alone, so that what a cell shows has one code wherever it
   * stands and whatever stands beside it.
   */
  forwardCells(pixels: tf.Tensor4D): tf.Tensor4D {
    const stride = coderStride(this.config);
    return tf.tidy(() => {
      const [batch, height, width, channels] = pixels.shape;
      const [rows, columns] = [Math.floor(height / stride), Math.floor(width / stride)];
      if (height % stride || width % stride) return this.forward(pixels); // says what is wrong
      const strips = tf.reshape(pixels, [batch * rows, stride, columns, stride * channels]);
      const cells = tf.reshape<tf.Rank.R4>(tf.transpose(strips, [0, 2, 1, 3]), [-1, stride, stride, channels]);
      return tf.reshape<tf.Rank.R4>(this.forward(cells), [batch, rows, columns, this.config.z_channels]);
    });
  }
}

/** `[batch, rows, columns, z_channels]` -> pixels `[batch, height, width, channels]`, about [-1, 1], not clipped. */
export class ImageDecoder extends Module<CoderConfig> {
  readonly conv_in = new Conv2d(this.config.z_channels, coarsestWidth(this.config), 3);
  readonly mid = new Middle(middle(this.config, coarsestWidth(this.config)));
  readonly up = upLevels(this.config);
  readonly norm_out = new GroupNorm(decodedWidth(this.config), this.config.norm_groups);
  readonly conv_out = new Conv2d(decodedWidth(this.config), this.config.channels ?? 3, 3);

  forward(z: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      let h = this.mid.forward(this.conv_in.forward(z));
      const coarsestFirst = this.config.first_up === 'coarsest' ? this.up : [...this.up].reverse();
      for (const level of coarsestFirst) h = level.forward(h);
      return this.conv_out.forward(normSwish(this.norm_out, h));
    });
  }
}

function levelWidths({ ch, ch_mult }: CoderConfig): number[] {
  return ch_mult.map((multiplier) => ch * multiplier);
}

function coarsestWidth(config: CoderConfig): number {
  return levelWidths(config)[config.ch_mult.length - 1];
}

function middle({ mid_attention = true, norm_groups }: CoderConfig, channels: number): Middle['config'] {
  return { channels, attention: mid_attention, groups: norm_groups };
}

function downLevels(config: CoderConfig): DownLevel[] {
  checkCoderConfig(config);
  let inputs = config.ch;
  return levelWidths(config).map((outputs, level) => {
    const resampled = level < config.ch_mult.length - 1;
    const made = new DownLevel(levelConfig(config, level, inputs, outputs, resampled));
    inputs = config.blocks[level] > 0 ? outputs : inputs;
    return made;
  });
}

function upLevels(config: CoderConfig): UpLevel[] {
  checkCoderConfig(config);
  const widths = levelWidths(config);
  let inputs = coarsestWidth(config);
  const coarsestFirst = [...widths.keys()].reverse().map((level) => {
    const made = new UpLevel(levelConfig(config, level, inputs, widths[level], level > 0));
    inputs = config.blocks[level] > 0 ? widths[level] : inputs;
    return made;
  });
  return config.first_up === 'coarsest' ? coarsestFirst : coarsestFirst.reverse();
}

function levelConfig(
  { blocks, attn_levels = [], norm_groups: groups }: CoderConfig,
  level: number,
  inputs: number,
  outputs: number,
  resampled: boolean,
): LevelConfig {
  return { inputs, outputs, blocks: blocks[level], attention: attn_levels.includes(level), resampled, groups };
}

/** Channels that leave the encoder's levels. */
function encodedWidth({ ch, blocks, ...config }: CoderConfig): number {
  const last = blocks.findLastIndex((count) => count > 0);
  return last < 0 ? ch : levelWidths({ ch, blocks, ...config })[last];
}

/** Channels that leave the decoder's levels. */
function decodedWidth(config: CoderConfig): number {
  const last = config.blocks.findIndex((count) => count > 0);
  return last < 0 ? coarsestWidth(config) : levelWidths(config)[last];
}
