/**
 * VQGAN's convolutional halves (Esser et al. 2021, taming-transformers' layout and names): pixels to latents and
 * codebook entries to pixels. Chameleon, Lumina-mGPT and Janus (VQ-16 of LlamaGen) are configurations of it. Tensors are
 * NHWC.
 */
import { tf } from '../engine';
import { type CoderConfig, coderStride, ImageDecoder, ImageEncoder } from './image-coder';
import { Conv2d, Embedding } from './layers';
import { Module } from './module';
import { codebookEntries, nearestCodes, quantize } from './vqgan-codebook';

export interface VqganConfig {
  /** Channels at multiplier 1; every level's channels must be a multiple of `norm_groups`. */
  readonly ch: number;
  /** Channel multiplier of each level, finest first; every level but the last halves the size. */
  readonly ch_mult: readonly number[];
  /** Residual blocks of the encoder's levels: one number for all, or one a level, finest first. */
  readonly num_res_blocks: number | readonly number[];
  /** Residual blocks of the decoder's levels, finest first. Default, as published: one more than the encoder's. */
  readonly decoder_res_blocks?: readonly number[];
  /** Channels between the convolutional halves and the two 1x1 convolutions around the codebook. */
  readonly z_channels: number;
  /** Width of a code's entry. */
  readonly embed_dim: number;
  /** Number of codes. */
  readonly n_embed: number;
  /** Default 3. */
  readonly in_channels?: number;
  /** Default 3. */
  readonly out_ch?: number;
  /** Levels, 0 the finest, whose residual blocks are each followed by attention. Default none. */
  readonly attn_levels?: readonly number[];
  /** Attention between the two middle blocks. Default true. */
  readonly mid_attention?: boolean;
  /** Compare latents with codes by angle, and give the decoder entries of length 1 (LlamaGen, Janus). Default false. */
  readonly l2_norm?: boolean;
  /** What `decoder.up.0` names: the finest level (taming-transformers) or the coarsest (Janus in transformers). Default `finest`. */
  readonly first_up?: 'finest' | 'coarsest';
  /** Groups of GroupNorm. Default 32, as published; small tokenizers need fewer, lest a group be a single channel. */
  readonly norm_groups?: number;
  /**
   * Every cell of the code grid is encoded from its own pixels alone, so that what a cell shows has one code wherever
   * it stands and whatever stands beside it; the decoder still sees all cells. Default false, as published.
   */
  readonly cell_encoder?: boolean;
}

/** What of a tokenizer a checkpoint holds, and how its codebook begins. */
export interface VqganLayout {
  /** `encoder`: all but the decoder, as in transformers' Chameleon. Default `whole`. */
  readonly parts?: 'whole' | 'encoder';
  /** Standard deviation of the codebook's first entries. Default: that of upstream's uniform -1/n_embed .. 1/n_embed. */
  readonly codebookStd?: number;
}

/**
 * A VQGAN as a file of its own, or a part of a model's file, holds it: `encoder`, `quant_conv`, `quantize.embedding`,
 * `post_quant_conv`, `decoder`.
 */
export class Vqgan extends Module<VqganConfig & VqganLayout> {
  readonly encoder = new ImageEncoder(coderConfig(this.config, 'encoder'));
  readonly quant_conv = new Conv2d(this.config.z_channels, this.config.embed_dim, 1);
  readonly quantize = { embedding: codebookOf(this.config) };
  readonly post_quant_conv = new Conv2d(this.config.embed_dim, this.config.z_channels, 1);
  readonly decoder =
    this.config.parts === 'encoder' ? undefined : new ImageDecoder(coderConfig(this.config, 'decoder'));

  /** How many pixels one code covers along each axis. */
  get stride(): number {
    return coderStride(this.config);
  }

  /** `[n_embed, embed_dim]` */
  get codebook(): tf.Tensor2D {
    return this.quantize.embedding.weight.value;
  }

  /** The encoder proper, before `quant_conv`: `[batch, rows, columns, z_channels]`. */
  hidden(pixels: tf.Tensor4D): tf.Tensor4D {
    return this.config.cell_encoder ? this.encoder.forwardCells(pixels) : this.encoder.forward(pixels);
  }

  /** Pixels `[batch, height, width, channels]` in [-1, 1] -> latents before quantization, `[batch, rows, columns, embed_dim]`. */
  encodeContinuous(pixels: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.quant_conv.forward(this.hidden(pixels)));
  }

  /**
   * Pixels -> codes `[batch, rows * columns]` int32, row by row.
   * @throws RangeError for pixels of another shape
   */
  encode(pixels: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const codes = nearestCodes(this.encodeContinuous(pixels), this.codebook, this.config.l2_norm);
      return tf.reshape<tf.Rank.R2>(codes, [pixels.shape[0], -1]);
    });
  }

  /**
   * Entries `[batch, rows, columns, embed_dim]` -> pixels `[batch, height, width, channels]`, about [-1, 1], not clipped.
   * @throws RangeError for entries of another shape; Error without a decoder
   */
  decodeEntries(entries: tf.Tensor4D): tf.Tensor4D {
    const { decoder } = this;
    if (!decoder)
      throw new Error(
        'this image tokenizer has no decoder: its checkpoint holds the encoder only. Put the VQGAN (config.json and model.safetensors) into the folder vqgan/ beside it',
      );
    if (entries.rank !== 4 || entries.shape[3] !== this.config.embed_dim)
      throw new RangeError(
        `the image tokenizer's decoder needs entries [batch, rows, columns, ${this.config.embed_dim}], got [${entries.shape}]`,
      );
    return tf.tidy(() => decoder.forward(this.post_quant_conv.forward(entries)));
  }

  /**
   * Codes -> pixels `[batch, height, width, channels]`.
   * @param codes `[batch][rows * columns]`
   * @param shape `[rows, columns]`; default: a square
   * @throws RangeError for codes that do not fill the shape or lie outside the codebook; Error without a decoder
   */
  decode(codes: readonly ArrayLike<number>[], shape?: readonly [number, number]): tf.Tensor4D {
    const side = Math.round(Math.sqrt(codes[0]?.length ?? 0));
    const [rows, columns] = shape ?? [side, side];
    codes.forEach((row, i) => {
      if (row.length !== rows * columns || row.length === 0)
        throw new RangeError(`image ${i} has ${row.length} codes; ${rows} x ${columns} were expected`);
    });
    return tf.tidy(() => {
      const flat = codes.flatMap((row) => Array.from(row));
      const entries = codebookEntries(this.codebook, flat, this.config.l2_norm);
      return this.decodeEntries(tf.reshape<tf.Rank.R4>(entries, [codes.length, rows, columns, -1]));
    });
  }

  /** One training pass: reconstruction with a straight-through gradient, the codes used, the codebook's loss. */
  reconstruct(pixels: tf.Tensor4D): { pixels: tf.Tensor4D; codes: tf.Tensor3D; loss: tf.Scalar } {
    const { entries, codes, loss } = quantize(this.encodeContinuous(pixels), this.codebook, this.config.l2_norm);
    return { pixels: this.decodeEntries(entries), codes, loss };
  }
}

function coderConfig(config: VqganConfig, half: 'encoder' | 'decoder'): CoderConfig {
  checkVqganConfig(config);
  const blocks = half === 'encoder' ? encoderBlocks(config) : decoderBlocks(config);
  const channels = half === 'encoder' ? config.in_channels : config.out_ch;
  return { ...config, blocks, channels };
}

function codebookOf({ n_embed, embed_dim, codebookStd }: VqganConfig & VqganLayout): Embedding {
  // Upstream draws uniformly from -1/n .. 1/n; this normal has the same spread.
  return new Embedding(n_embed, embed_dim, codebookStd ?? 1 / (Math.sqrt(3) * n_embed));
}

/** @throws RangeError naming the field, what was found and what was expected */
export function checkVqganConfig(config: VqganConfig): void {
  const levels = config.ch_mult.length;
  const groups = config.norm_groups ?? 32;
  const sizes = { ch: config.ch, z_channels: config.z_channels, embed_dim: config.embed_dim, n_embed: config.n_embed };
  for (const [field, value] of Object.entries({ ...sizes, 'the length of ch_mult': levels }))
    if (!Number.isInteger(value) || value < 1)
      throw new RangeError(`image tokenizer: ${field} is ${value}, expected a positive integer`);
  config.ch_mult.forEach((multiplier, level) => {
    const channels = config.ch * multiplier;
    if (!Number.isInteger(channels) || channels < 1 || channels % groups)
      throw new RangeError(
        `image tokenizer: level ${level} has ${channels} channels, expected a multiple of norm_groups ${groups}`,
      );
  });
  // The first norms see `ch` channels, whatever the first multiplier is.
  if (config.ch % groups)
    throw new RangeError(`image tokenizer: ch ${config.ch} is no multiple of norm_groups ${groups}`);
  for (const [field, blocks] of [
    ['num_res_blocks', encoderBlocks(config)],
    ['decoder_res_blocks', decoderBlocks(config)],
  ] as const)
    if (blocks.length !== levels || blocks.some((count) => !Number.isInteger(count) || count < 0))
      throw new RangeError(
        `image tokenizer: ${field} [${blocks}] must give a whole number for each of ${levels} levels`,
      );
  for (const level of config.attn_levels ?? [])
    if (!Number.isInteger(level) || level < 0 || level >= levels)
      throw new RangeError(`image tokenizer: attn_levels names level ${level}; there are ${levels}`);
}

function encoderBlocks({ num_res_blocks: blocks, ch_mult }: VqganConfig): readonly number[] {
  return typeof blocks === 'number' ? ch_mult.map(() => blocks) : blocks;
}

function decoderBlocks(config: VqganConfig): readonly number[] {
  return config.decoder_res_blocks ?? encoderBlocks(config).map((count) => count + 1);
}
