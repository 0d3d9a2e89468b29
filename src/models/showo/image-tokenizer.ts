/**
 * MAGVIT-v2, Show-o's image tokenizer: a convolutional encoder to sign bits and a decoder back to pixels.
 * Parameter names are upstream's; the real one is `MAGVITV2_CONFIG`, the mini one the same class with small numbers.
 */
import { type Rng, tf } from '../../engine';
import type { RawTensor } from '../../io';
import {
  attnBlock,
  conv,
  declareAttnBlock,
  declareConv,
  declareNorm,
  declareResBlock,
  downsample,
  normSilu,
  resBlock,
  upsample,
} from '../../nn/conv';
import { type ParameterSpec, Parameters } from '../../nn/parameters';
import { codebookEntries, codesOf, lfqLosses, signsStraightThrough } from './lfq';

export interface CoderConfig {
  /** Channels at multiplier 1; every level's channels must be a multiple of `norm_groups`. */
  readonly ch: number;
  /** Channel multiplier of each level, finest first. */
  readonly ch_mult: readonly number[];
  /** Residual blocks of each level, finest first. */
  readonly num_res_blocks: readonly number[];
  readonly z_channels: number;
  /**
   * Groups of GroupNorm. Default 32, as published. With 32 channels that would be one channel a group, which erases
   * the color of flat images: small tokenizers need fewer groups.
   */
  readonly norm_groups?: number;
}

export interface MagvitConfig {
  readonly encoder: CoderConfig;
  readonly decoder: CoderConfig;
  /** Bits of a code; the codebook has 2^codebook_dim entries. */
  readonly codebook_dim: number;
  /**
   * Every cell of the code grid is encoded from its own pixels alone, so that what a cell shows has one code wherever
   * it stands and whatever stands beside it; the decoder still sees all cells. Default false, as published: the
   * encoder's convolutions and attention see the whole image.
   */
  readonly cell_encoder?: boolean;
}

/** The published tokenizer: 16x smaller each way, 8192 codes. */
export const MAGVITV2_CONFIG: MagvitConfig = {
  encoder: { ch: 128, ch_mult: [1, 2, 2, 4, 4], num_res_blocks: [4, 3, 4, 3, 4], z_channels: 13 },
  decoder: { ch: 128, ch_mult: [1, 1, 2, 2, 4], num_res_blocks: [4, 4, 3, 4, 3], z_channels: 13 },
  codebook_dim: 13,
};

/** Buffers in upstream's file that carry no parameter: both follow from `codebook_dim`. */
const UPSTREAM_BUFFERS = ['quantize.embedding', 'quantize.power_vals'];

export class MagvitTokenizer {
  private constructor(
    readonly config: MagvitConfig,
    readonly parameters: Parameters,
  ) {}

  static random(config: MagvitConfig, rng: Rng): MagvitTokenizer {
    return new MagvitTokenizer(config, Parameters.random(magvitSpecs(config), rng));
  }

  /** @throws CheckpointMismatchError listing every tensor that does not fit */
  static fromTensors(
    config: MagvitConfig,
    tensors: Readonly<Record<string, RawTensor>>,
    where: string,
  ): MagvitTokenizer {
    return new MagvitTokenizer(config, Parameters.fromTensors(magvitSpecs(config), tensors, where, UPSTREAM_BUFFERS));
  }

  /** The same weights (shared, not copied) under another configuration. @throws RangeError when it has other layers */
  configured(config: MagvitConfig): MagvitTokenizer {
    const names = Object.keys(magvitSpecs(config));
    if (names.join() !== Object.keys(this.parameters.specs).join())
      throw new RangeError('the configuration has other layers than this tokenizer');
    return new MagvitTokenizer(config, this.parameters);
  }

  /** How many pixels one code covers along each axis. */
  get stride(): number {
    return 2 ** (this.config.encoder.ch_mult.length - 1);
  }

  get codebookSize(): number {
    return 2 ** this.config.codebook_dim;
  }

  /** Pixels `[batch, height, width, 3]` in [-1, 1] -> the encoder's output before the signs, `[batch, rows, columns, bits]`. */
  encodeContinuous(pixels: tf.Tensor4D): tf.Tensor4D {
    const { stride } = this;
    if (pixels.shape.length !== 4 || pixels.shape[3] !== 3 || pixels.shape[1] % stride || pixels.shape[2] % stride) {
      throw new RangeError(
        `the image tokenizer needs pixels [batch, height, width, 3] with sides divisible by ${stride}, got [${pixels.shape}]`,
      );
    }
    return tf.tidy(() => {
      if (!this.config.cell_encoder) return encoderForward(this.parameters, this.config.encoder, pixels);
      const [batch, height, width] = pixels.shape;
      const [rows, columns] = [height / stride, width / stride];
      const strips = tf.reshape(pixels, [batch * rows, stride, columns, stride * 3]);
      const cells = tf.reshape<tf.Rank.R4>(tf.transpose(strips, [0, 2, 1, 3]), [-1, stride, stride, 3]);
      const z = encoderForward(this.parameters, this.config.encoder, cells);
      return tf.reshape<tf.Rank.R4>(z, [batch, rows, columns, this.config.codebook_dim]);
    });
  }

  /** Pixels -> codes `[batch, rows * columns]` int32, row by row. */
  encode(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => tf.reshape<tf.Rank.R2>(codesOf(this.encodeContinuous(pixels)), [pixels.shape[0], -1]));
  }

  /** Sign entries `[batch, rows, columns, bits]` -> pixels `[batch, height, width, 3]`, about [-1, 1], not clipped. */
  decodeEntries(entries: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => decoderForward(this.parameters, this.config.decoder, entries));
  }

  /**
   * Codes -> pixels `[batch, height, width, 3]`.
   * @param codes `[batch][rows * columns]`
   * @param shape `[rows, columns]`; default: a square
   * @throws RangeError for codes that do not fill the shape or lie outside the codebook
   */
  decode(codes: readonly ArrayLike<number>[], shape?: readonly [number, number]): tf.Tensor4D {
    const count = codes[0]?.length ?? 0;
    const side = Math.round(Math.sqrt(count));
    const [rows, columns] = shape ?? [side, side];
    codes.forEach((row, i) => {
      if (row.length !== rows * columns)
        throw new RangeError(`image ${i} has ${row.length} codes; ${rows} x ${columns} were expected`);
    });
    return tf.tidy(() => {
      const flat = Int32Array.from(codes.flatMap((row) => Array.from(row)));
      const entries = tf.reshape(codebookEntries(flat, this.config.codebook_dim), [codes.length, rows, columns, -1]);
      return this.decodeEntries(entries as tf.Tensor4D);
    });
  }

  /** One training pass: reconstruction `[batch, height, width, 3]` with a straight-through gradient, and the LFQ losses. */
  reconstruct(pixels: tf.Tensor4D): { pixels: tf.Tensor4D; commitment: tf.Scalar; entropy: tf.Scalar } {
    const z = this.encodeContinuous(pixels);
    const losses = lfqLosses(tf.reshape<tf.Rank.R2>(z, [-1, this.config.codebook_dim]));
    return { pixels: this.decodeEntries(signsStraightThrough(z)), ...losses };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

/** Every parameter of the tokenizer under its upstream name. @throws RangeError for a configuration that cannot be built */
export function magvitSpecs({ encoder, decoder, codebook_dim: bits }: MagvitConfig): Record<string, ParameterSpec> {
  for (const [where, coder] of Object.entries({ encoder, decoder })) {
    if (coder.ch_mult.length !== coder.num_res_blocks.length)
      throw new RangeError(`${where}: ch_mult and num_res_blocks differ in length`);
    if (coder.z_channels !== bits)
      throw new RangeError(`${where}: z_channels ${coder.z_channels} is not codebook_dim ${bits}`);
  }
  const specs: Record<string, ParameterSpec> = {};
  declareEncoder(specs, encoder);
  declareDecoder(specs, decoder);
  return specs;
}

function declareMid(specs: Record<string, ParameterSpec>, name: string, channels: number): void {
  declareResBlock(specs, `${name}.block_1`, channels, channels);
  declareAttnBlock(specs, `${name}.attn_1`, channels);
  declareResBlock(specs, `${name}.block_2`, channels, channels);
}

function declareEncoder(specs: Record<string, ParameterSpec>, c: CoderConfig): void {
  declareConv(specs, 'encoder.conv_in', 3, c.ch, 3);
  let channels = c.ch;
  c.ch_mult.forEach((multiplier, level) => {
    for (let block = 0; block < c.num_res_blocks[level]; block++) {
      declareResBlock(specs, `encoder.down.${level}.block.${block}`, channels, c.ch * multiplier);
      channels = c.ch * multiplier;
    }
    if (level < c.ch_mult.length - 1)
      declareConv(specs, `encoder.down.${level}.downsample.conv`, channels, channels, 3);
  });
  declareMid(specs, 'encoder.mid', channels);
  declareNorm(specs, 'encoder.norm_out', channels);
  declareConv(specs, 'encoder.conv_out', channels, c.z_channels, 3);
  declareConv(specs, 'encoder.quant_conv', c.z_channels, c.z_channels, 1);
}

function encoderForward(p: Parameters, c: CoderConfig, pixels: tf.Tensor4D): tf.Tensor4D {
  let h = conv(p, 'encoder.conv_in', pixels);
  c.ch_mult.forEach((_, level) => {
    for (let block = 0; block < c.num_res_blocks[level]; block++)
      h = resBlock(p, `encoder.down.${level}.block.${block}`, h, c.norm_groups);
    if (level < c.ch_mult.length - 1) h = downsample(p, `encoder.down.${level}.downsample`, h);
  });
  h = midForward(p, 'encoder.mid', h, c.norm_groups);
  h = conv(p, 'encoder.conv_out', normSilu(p, 'encoder.norm_out', h, c.norm_groups));
  return conv(p, 'encoder.quant_conv', h);
}

function midForward(p: Parameters, name: string, h: tf.Tensor4D, groups?: number): tf.Tensor4D {
  const mixed = attnBlock(p, `${name}.attn_1`, resBlock(p, `${name}.block_1`, h, groups), groups);
  return resBlock(p, `${name}.block_2`, mixed, groups);
}

function declareDecoder(specs: Record<string, ParameterSpec>, c: CoderConfig): void {
  declareConv(specs, 'decoder.post_quant_conv', c.z_channels, c.z_channels, 1);
  let channels = c.ch * c.ch_mult[c.ch_mult.length - 1];
  declareConv(specs, 'decoder.conv_in', c.z_channels, channels, 3);
  declareMid(specs, 'decoder.mid', channels);
  for (let level = c.ch_mult.length - 1; level >= 0; level--) {
    for (let block = 0; block < c.num_res_blocks[level]; block++) {
      declareResBlock(specs, `decoder.up.${level}.block.${block}`, channels, c.ch * c.ch_mult[level]);
      channels = c.ch * c.ch_mult[level];
    }
    if (level > 0) declareConv(specs, `decoder.up.${level}.upsample.conv`, channels, channels, 3);
  }
  declareNorm(specs, 'decoder.norm_out', channels);
  declareConv(specs, 'decoder.conv_out', channels, 3, 3);
}

function decoderForward(p: Parameters, c: CoderConfig, entries: tf.Tensor4D): tf.Tensor4D {
  let h = conv(p, 'decoder.conv_in', conv(p, 'decoder.post_quant_conv', entries));
  h = midForward(p, 'decoder.mid', h, c.norm_groups);
  for (let level = c.ch_mult.length - 1; level >= 0; level--) {
    for (let block = 0; block < c.num_res_blocks[level]; block++)
      h = resBlock(p, `decoder.up.${level}.block.${block}`, h, c.norm_groups);
    if (level > 0) h = upsample(p, `decoder.up.${level}.upsample`, h);
  }
  return conv(p, 'decoder.conv_out', normSilu(p, 'decoder.norm_out', h, c.norm_groups));
}
