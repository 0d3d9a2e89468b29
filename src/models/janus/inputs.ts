/** What Janus' passes take, as tensors: prepared here from ids, codes and images, see `nn/row-inputs`. */
import { tf } from '../../engine';
import { type Image, imagesToTensor } from '../../io';
import { sizeFor } from '../../nn/buckets';
import { causalMask } from '../../nn/causal-mask';
import { llamaRotary } from '../../nn/llama';
import { IGNORE, type PackedRow } from '../../nn/packed-rows';
import { type RotaryTables, rotaryTables } from '../../nn/rotary';
import { paddedTo, type PackedInputs, packedInputs, type PackedSizes, packedSizes } from '../../nn/row-inputs';
import { visionTokens } from './config';
import { padLeft } from './layout';
import type { EmbedInputs, JanusNetwork } from './network';

/** Rows of text, some with images that are looked at. */
export type QuestionInputs = PackedInputs & {
  readonly embed: EmbedInputs;
  /** `[images, image_size, image_size, 3]`, in the order of their placeholders; more may follow. */
  readonly pixels?: tf.Tensor4D;
};

/** @param images for the placeholders in the rows, in order @param sizes what is padded to; default: the rows' own */
export function questionInputs(
  network: JanusNetwork,
  rows: readonly PackedRow[],
  images: readonly Image[] = [],
  sizes?: PackedSizes,
): QuestionInputs {
  if (images.length === 0) return withFeatures(network, rows, 0, sizes);
  const count = sizes ? sizeFor(images.length, 4) : images.length;
  const blank = { ...images[0], rgb: new Uint8Array(images[0].rgb.length) };
  const all = [...images, ...Array.from({ length: count - images.length }, () => blank)];
  return { ...withFeatures(network, rows, images.length, sizes), pixels: imagesToTensor(all) };
}

/** The same for features that are computed elsewhere. @param images how many images' */
export function withFeatures(
  network: JanusNetwork,
  rows: readonly PackedRow[],
  images: number,
  sizes: PackedSizes = packedSizes(rows),
): QuestionInputs {
  const { config } = network;
  const { text, tokens } = config;
  const padded = paddedTo(rows, tokens.pad, sizes).map(({ ids }) => ids);
  const embed = network.embedInputs(padded, images * visionTokens(config));
  return { ...packedInputs(rows, tokens.pad, llamaRotary(text), sizes), embed };
}

/** Prompts and the images that follow them, code after code. */
export type ImageInputs = {
  /** The prompts, padded on the left. */
  readonly embed: EmbedInputs;
  /** int32 `[images, codes - 1]`: what is read; the last code predicts nothing. Absent for images of one code. */
  readonly seen?: tf.Tensor2D;
  readonly mask: tf.Tensor4D;
  readonly tables: RotaryTables;
  /** int32 `[images * codes]`, {@link IGNORE} for rows of padding. */
  readonly targets: tf.Tensor1D;
};

/** Counts of images that vary from batch to batch: their number, and tokens of the longest row. */
export interface ImageSizes {
  readonly rows: number;
  readonly length: number;
}

/**
 * @param prompts as `generationIds` lays them out; they may differ in length
 * @param codes `[images][codes]`
 * @param sizes what is padded to; default: the prompts' own
 * @param read what stands where the next code is predicted, `[images][codes]`. Default: the codes themselves
 */
export function imageInputs(
  network: JanusNetwork,
  prompts: readonly (readonly number[])[],
  codes: readonly ArrayLike<number>[],
  sizes: ImageSizes = imageSizes(prompts, codes[0].length),
  read: readonly ArrayLike<number>[] = codes,
): ImageInputs {
  const { config } = network;
  const missing = Array.from({ length: sizes.rows - prompts.length });
  const all = [...prompts, ...missing.map(() => prompts[0])];
  const { length } = sizes;
  const count = codes[0].length;
  const { ids, pads } = padLeft(config, all, length - count + 1);
  const [rows, seen] = [codes, read].map((given) => [...given, ...missing.map(() => given[0])]);
  const positions = pads.map((pad) => Array.from({ length }, (_, t) => Math.max(0, t - pad)));
  const targets = rows.flatMap((row, b) => Array.from(row, (code) => (b < codes.length ? code : IGNORE)));
  return {
    embed: network.embedInputs(ids),
    ...(count > 1 ? { seen: network.codeIds(seen.map((row) => Array.from(row).slice(0, count - 1))) } : {}),
    mask: causalMask(length, length, pads) ?? tf.zeros([1, 1, 1, 1]),
    tables: rotaryTables(positions, llamaRotary(config.text)),
    targets: tf.tensor1d(targets, 'int32'),
  };
}

/** @param codes of an image; the last one is not read */
export function imageSizes(prompts: readonly (readonly number[])[], codes: number): ImageSizes {
  return { rows: prompts.length, length: Math.max(...prompts.map((row) => row.length)) + codes - 1 };
}
