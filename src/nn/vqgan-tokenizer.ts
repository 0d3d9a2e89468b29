/** A VQGAN with weights of its own, under taming-transformers' names: pixels to codes and back. */
import { type Rng, tf } from '../engine';
import type { RawTensor } from '../io';
import { type ParameterSpec, Parameters } from './parameters';
import {
  declareVqganCodebook,
  declareVqganDecoder,
  declareVqganEncoder,
  declareVqganPostQuant,
  vqganDecode,
  vqganEncoderHidden,
  vqganPreQuant,
  vqganStride,
  type VqganConfig,
} from './vqgan';
import { codebookEntries, nearestCodes, quantize } from './vqgan-codebook';

/** Parts of a tokenizer that a checkpoint holds: transformers' Chameleon has no decoder. */
export type VqganParts = 'whole' | 'encoder';

/** Every parameter under its upstream name; for `encoder`: encoder, codebook and both 1x1 convolutions. */
export function vqganSpecs(
  config: VqganConfig,
  parts: VqganParts = 'whole',
  prefix = '',
): Record<string, ParameterSpec> {
  const specs: Record<string, ParameterSpec> = {};
  declareVqganEncoder(specs, prefix, config);
  declareVqganCodebook(specs, prefix, config);
  declareVqganPostQuant(specs, prefix, config);
  if (parts === 'whole') declareVqganDecoder(specs, prefix, config);
  return specs;
}

export class VqganTokenizer {
  /** @param parameters those of {@link vqganSpecs}; disposed with the tokenizer */
  constructor(
    readonly config: VqganConfig,
    readonly parameters: Parameters,
  ) {}

  static random(config: VqganConfig, rng: Rng, parts: VqganParts = 'whole'): VqganTokenizer {
    return new VqganTokenizer(config, Parameters.random(vqganSpecs(config, parts), rng));
  }

  /** @throws CheckpointMismatchError listing every tensor that does not fit */
  static fromTensors(
    config: VqganConfig,
    tensors: Readonly<Record<string, RawTensor>>,
    where: string,
    parts: VqganParts = 'whole',
  ): VqganTokenizer {
    return new VqganTokenizer(config, Parameters.fromTensors(vqganSpecs(config, parts), tensors, where));
  }

  /** How many pixels one code covers along each axis. */
  get stride(): number {
    return vqganStride(this.config);
  }

  get codebookSize(): number {
    return this.config.n_embed;
  }

  /** Whether codes can be turned into pixels. */
  get hasDecoder(): boolean {
    return this.parameters.has('decoder.conv_in.weight');
  }

  /** `[n_embed, embed_dim]` */
  get codebook(): tf.Tensor2D {
    return this.parameters.get('quantize.embedding.weight') as tf.Tensor2D;
  }

  /** Pixels `[batch, height, width, 3]` in [-1, 1] -> latents before quantization, `[batch, rows, columns, embed_dim]`. */
  encodeContinuous(pixels: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() =>
      vqganPreQuant(this.parameters, '', vqganEncoderHidden(this.parameters, '', this.config, pixels)),
    );
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

  /** Entries `[batch, rows, columns, embed_dim]` -> pixels `[batch, height, width, 3]`, about [-1, 1], not clipped. */
  decodeEntries(entries: tf.Tensor4D): tf.Tensor4D {
    if (!this.hasDecoder)
      throw new Error(
        'this image tokenizer has no decoder: its checkpoint holds the encoder only. Put the VQGAN (config.json and model.safetensors) into the folder vqgan/ beside it',
      );
    return tf.tidy(() => vqganDecode(this.parameters, '', this.config, entries));
  }

  /**
   * Codes -> pixels `[batch, height, width, 3]`.
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

  dispose(): void {
    this.parameters.dispose();
  }
}
