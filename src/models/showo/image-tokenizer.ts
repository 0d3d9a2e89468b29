/**
 * MAGVIT-v2, Show-o's image tokenizer: a convolutional encoder to sign bits and a decoder back to pixels.
 * Parameter names are upstream's; the real one is `MAGVITV2_CONFIG`, the mini one the same class with small numbers.
 */
import { type Rng, tf } from '../../engine';
import type { RawTensor } from '../../io';
import {
  attentionLevels,
  checkCoderConfig,
  type CoderConfig as LayerConfig,
  coderStride,
  ImageDecoder,
  ImageEncoder,
} from '../../nn/image-coder';
import { Conv2d } from '../../nn/layers';
import { Module, namedParameters } from '../../nn/module';
import { ParamStore } from '../../nn/store';
import { codebookEntries, codesOf, lfqLosses, signsStraightThrough } from './lfq';

export interface CoderConfig {
  /** Channels at multiplier 1; every level's channels must be a multiple of `norm_groups`. */
  readonly ch: number;
  /** Channel multiplier of each level, finest first. */
  readonly ch_mult: readonly number[];
  /** Residual blocks of each level, finest first. */
  readonly num_res_blocks: readonly number[];
  readonly z_channels: number;
  /** Levels whose side is among these have attention after each block, counted from `resolution`. Default none. */
  readonly attn_resolutions?: readonly number[] | null;
  /** Side of the images that `attn_resolutions` are counted from, pixels. Default 256. */
  readonly resolution?: number;
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

/** The encoder, whose last layer is upstream's `quant_conv`. */
class MagvitEncoder extends ImageEncoder {
  readonly quant_conv = new Conv2d(this.config.z_channels, this.config.z_channels, 1);

  override forward(pixels: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.quant_conv.forward(super.forward(pixels)));
  }
}

/** The decoder, whose first layer is upstream's `post_quant_conv`. */
class MagvitDecoder extends ImageDecoder {
  readonly post_quant_conv = new Conv2d(this.config.z_channels, this.config.z_channels, 1);

  override forward(entries: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => super.forward(this.post_quant_conv.forward(entries)));
  }
}

/** Both halves; names are upstream's. @throws RangeError for a configuration that cannot be built */
export class MagvitNetwork extends Module<MagvitConfig> {
  readonly encoder = new MagvitEncoder(layerConfig('encoder', this.config));
  readonly decoder = new MagvitDecoder(layerConfig('decoder', this.config));
}

export class MagvitTokenizer {
  private readonly network: MagvitNetwork;

  private constructor(
    readonly config: MagvitConfig,
    readonly parameters: ParamStore,
  ) {
    this.network = new MagvitNetwork(config).with(parameters);
  }

  static random(config: MagvitConfig, rng: Rng): MagvitTokenizer {
    return new MagvitTokenizer(config, ParamStore.random(new MagvitNetwork(config), rng));
  }

  /** @throws CheckpointMismatchError listing every tensor that does not fit */
  static fromTensors(
    config: MagvitConfig,
    tensors: Readonly<Record<string, RawTensor>>,
    where: string,
  ): MagvitTokenizer {
    const network = new MagvitNetwork(config);
    return new MagvitTokenizer(config, ParamStore.fromTensors(network, tensors, where, UPSTREAM_BUFFERS));
  }

  /** The same weights (shared, not copied) under another configuration. @throws RangeError when it has other layers */
  configured(config: MagvitConfig): MagvitTokenizer {
    const names = [...namedParameters(new MagvitNetwork(config)).own.keys()];
    if (names.join() !== this.parameters.names.join())
      throw new RangeError('the configuration has other layers than this tokenizer');
    return new MagvitTokenizer(config, this.parameters);
  }

  /** How many pixels one code covers along each axis. */
  get stride(): number {
    return coderStride(this.config.encoder);
  }

  get codebookSize(): number {
    return 2 ** this.config.codebook_dim;
  }

  /** Pixels `[batch, height, width, 3]` in [-1, 1] -> the encoder's output before the signs, `[batch, rows, columns, bits]`. */
  encodeContinuous(pixels: tf.Tensor4D): tf.Tensor4D {
    const { encoder } = this.network;
    return this.config.cell_encoder ? encoder.forwardCells(pixels) : encoder.forward(pixels);
  }

  /** Pixels -> codes `[batch, rows * columns]` int32, row by row. */
  encode(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => tf.reshape<tf.Rank.R2>(codesOf(this.encodeContinuous(pixels)), [pixels.shape[0], -1]));
  }

  /** Sign entries `[batch, rows, columns, bits]` -> pixels `[batch, height, width, 3]`, about [-1, 1], not clipped. */
  decodeEntries(entries: tf.Tensor4D): tf.Tensor4D {
    return this.network.decoder.forward(entries);
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

/** What the layers are built of. */
function layerConfig(half: 'encoder' | 'decoder', config: MagvitConfig): LayerConfig {
  const { num_res_blocks, attn_resolutions, resolution = 256, ...coder } = config[half];
  if (coder.z_channels !== config.codebook_dim)
    throw new RangeError(`${half}: z_channels ${coder.z_channels} is not codebook_dim ${config.codebook_dim}`);
  const attn_levels = attentionLevels(resolution, coder.ch_mult.length, attn_resolutions);
  const layers = { ...coder, blocks: num_res_blocks, attn_levels };
  checkCoderConfig(layers, half);
  return layers;
}
