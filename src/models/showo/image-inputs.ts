/**
 * What a pass over images that are being drawn takes, as tensors. The text before an image does not see it: it is
 * computed once for all steps of an image in a batch, and once for all that have it dropped.
 */
import { tf } from '../../engine';
import { sizeFor } from '../../nn/buckets';
import { additiveMask, BLOCKED } from '../../nn/causal-mask';
import { distinct } from '../../nn/decoder';
import { rotaryTables } from '../../nn/rotary';
import type { Attending, SharedRows } from '../../nn/shared-rows';
import { type ShowoConfig, showoVocabulary } from './config';
import { conditionTokens, textToImageIds } from './layout';
import { rotaryOf } from './layers';
import { textToImageMask } from './masks';

export type DrawnInputs = SharedRows & {
  /** int32 `[1, beginnings * shared + rows * tokens]`: texts, then images; with guidance every image again, without its text. */
  readonly ids: tf.Tensor2D;
  /** int32: places whose codes are asked for; with guidance those of the images without text follow, in the same order. */
  readonly at: tf.Tensor1D;
};

/** An image on its way. */
export interface Drawn {
  /** Ids of the prompt. Images that have one array in common share its computation. */
  readonly condition: readonly number[];
  /** -1 where unknown. */
  readonly codes: ArrayLike<number>;
}

/** A code of one image. */
export interface CodePlace {
  readonly image: number;
  readonly code: number;
}

/**
 * @param guided whether the images without text are computed as well
 * @param places the codes that are asked for
 * @param size places that there are to be, padding included; default: as many as there are
 * @throws PromptTooLongError
 */
export function drawnInputs(
  config: ShowoConfig,
  images: readonly Drawn[],
  guided: boolean,
  places: readonly CodePlace[],
  size = places.length,
): DrawnInputs {
  const { unique, of } = distinct(images.map(({ condition }) => condition));
  const texts = beginningRows(config, unique, guided, sizeFor(unique.length, 4));
  const owner = guided ? [...of, ...of.map(() => texts.length - 1)] : of;
  const known = images.map(({ codes }) => imageIds(config, codes));
  const rests = guided ? [...known, ...known] : known;
  const tokens = rests[0].length;
  const start = texts.length * texts[0].length;
  const asked = [...places, ...Array.from({ length: size - places.length }, () => places[0])];
  const placesOf = (from: number) => asked.map(({ image, code }) => start + (from + image) * tokens + 1 + code);
  return {
    ids: tf.tensor2d(Int32Array.from([...texts, ...rests].flat()), [1, start + rests.length * tokens], 'int32'),
    owner: tf.tensor1d(owner, 'int32'),
    at: tf.tensor1d(guided ? [...placesOf(0), ...placesOf(images.length)] : placesOf(0), 'int32'),
    beginning: textsAttending(config, texts),
    rest: imagesAttending(config, texts, owner),
  };
}

/** A layout of so few tokens of text is not cut: another length would be another program to compile. */
const SHORT_LAYOUT = 32;

/**
 * The different texts, of half a long layout's length where that holds them; with guidance the dropped one comes last.
 * @param count texts that there are to be, the dropped one left out
 */
export function beginningRows(
  config: ShowoConfig,
  conditions: readonly (readonly number[])[],
  guided: boolean,
  count: number,
): number[][] {
  const whole = conditions.map((condition) => conditionTokens(config, condition));
  const dropped = conditionTokens(config, null);
  const empty = Array.from({ length: count - conditions.length }, () => dropped);
  const rows = [...whole, ...empty, ...(guided ? [dropped] : [])];
  if (config.max_text_len <= SHORT_LAYOUT) return rows;
  const { pad } = showoVocabulary(config);
  const half = Math.ceil(config.max_text_len / 2);
  const fits = rows.every((row) => row.slice(0, config.max_text_len - half).every((id) => id === pad));
  return fits ? rows.map((row) => row.slice(-half)) : rows;
}

/** What follows a text: begin, codes, end. @param codes -1 where unknown */
export function imageIds(config: ShowoConfig, codes: ArrayLike<number>): number[] {
  return textToImageIds(config, [], codes);
}

/** Texts among themselves. */
export function textsAttending(config: ShowoConfig, texts: readonly (readonly number[])[]): Attending {
  const shared = texts[0].length;
  const masks = texts.map((row) => textToImageMask(row, showoVocabulary(config)));
  return {
    mask: additiveMask(masks, shared),
    tables: rotaryTables(positions(config.max_text_len - shared, shared), rotaryOf(config)),
  };
}

/** Images behind their texts. @param owner each image's text */
export function imagesAttending(
  config: ShowoConfig,
  texts: readonly (readonly number[])[],
  owner: readonly number[],
): Attending {
  const tokens = config.num_vq_tokens + 2;
  const { pad } = showoVocabulary(config);
  return {
    mask: withoutPadding(
      owner.map((text) => texts[text]),
      tokens,
      pad,
    ),
    tables: rotaryTables(positions(config.max_text_len, tokens), rotaryOf(config)),
  };
}

const positions = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** An image sees all of itself, and of its text what is no padding. `[rows, 1, 1, shared + tokens]` */
function withoutPadding(texts: readonly (readonly number[])[], tokens: number, pad: number): tf.Tensor4D {
  const keys = texts[0].length + tokens;
  const mask = new Float32Array(texts.length * keys);
  texts.forEach((text, b) => text.forEach((id, i) => (mask[b * keys + i] = id === pad ? BLOCKED : 0)));
  return tf.tensor4d(mask, [texts.length, 1, 1, keys]);
}

/** All codes of all images, image after image. */
export function everyCode(images: number, codes: number): CodePlace[] {
  return Array.from({ length: images * codes }, (_, i) => ({ image: Math.floor(i / codes), code: i % codes }));
}
