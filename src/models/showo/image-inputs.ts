/**
 * What a pass over images that are being drawn takes, as tensors. The text before an image does not see it: it is
 * computed once for all steps of an image in a batch, and once for all that have it dropped.
 */
import { tf } from '../../engine';
import { sizeFor } from '../../nn/buckets';
import { additiveMask, BLOCKED } from '../../nn/causal-mask';
import { rotaryTables } from '../../nn/rotary';
import type { SharedRows } from '../../nn/shared-rows';
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
 * @param sizes rows and places that there are to be, padding included; default: as many as there are. With `rows`, there is
 *   a text for each of them: images that are sampled rarely share theirs, and the number of texts must not vary
 * @throws PromptTooLongError
 */
export function drawnInputs(
  config: ShowoConfig,
  images: readonly Drawn[],
  guided: boolean,
  places: readonly CodePlace[],
  sizes: { readonly rows?: number; readonly places?: number } = {},
): DrawnInputs {
  const missing = (sizes.rows ?? images.length) - images.length;
  const all = [...images, ...Array.from({ length: missing }, () => images[0])];
  const { texts, owner } = beginningsOf(config, all, guided, sizes.rows);
  const shared = texts[0].length;
  const known = all.map(({ condition, codes }) =>
    textToImageIds(config, conditionTokens(config, condition), codes).slice(config.max_text_len),
  );
  const rests = guided ? [...known, ...known] : known;
  const tokens = rests[0].length;
  const start = texts.length * shared;
  const asked = [
    ...places,
    ...Array.from({ length: (sizes.places ?? places.length) - places.length }, () => places[0]),
  ];
  const placesOf = (from: number) => asked.map(({ image, code }) => start + (from + image) * tokens + 1 + code);
  const { pad } = showoVocabulary(config);
  const rotary = rotaryOf(config);
  const positions = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
  const masks = texts.map((row) => textToImageMask(row, showoVocabulary(config)));
  return {
    ids: tf.tensor2d(Int32Array.from([...texts, ...rests].flat()), [1, start + rests.length * tokens], 'int32'),
    owner: tf.tensor1d(owner, 'int32'),
    at: tf.tensor1d(guided ? [...placesOf(0), ...placesOf(all.length)] : placesOf(0), 'int32'),
    beginning: {
      mask: additiveMask(masks, shared),
      tables: rotaryTables(positions(config.max_text_len - shared, shared), rotary),
    },
    rest: {
      mask: withoutPadding(
        owner.map((text) => texts[text]),
        tokens,
        pad,
      ),
      tables: rotaryTables(positions(config.max_text_len, tokens), rotary),
    },
  };
}

/** The different texts, of half the layout's length where that holds them, and each row's among them. */
function beginningsOf(config: ShowoConfig, images: readonly Drawn[], guided: boolean, texts?: number) {
  const conditions = [...new Set(images.map(({ condition }) => condition))];
  const count = texts ?? sizeFor(conditions.length, 4);
  const whole = conditions.map((condition) => conditionTokens(config, condition));
  const dropped = conditionTokens(config, null);
  const empty = Array.from({ length: count - conditions.length }, () => dropped);
  const rows = [...whole, ...empty, ...(guided ? [dropped] : [])];
  const { pad } = showoVocabulary(config);
  const half = Math.ceil(config.max_text_len / 2);
  const fits = rows.every((row) => row.slice(0, config.max_text_len - half).every((id) => id === pad));
  const owner = images.map(({ condition }) => conditions.indexOf(condition));
  return {
    texts: fits ? rows.map((row) => row.slice(-half)) : rows,
    owner: guided ? [...owner, ...owner.map(() => rows.length - 1)] : owner,
  };
}

/** An image sees all of itself, and of its text what is no padding. `[rows, 1, tokens, shared + tokens]` */
function withoutPadding(texts: readonly (readonly number[])[], tokens: number, pad: number): tf.Tensor4D {
  const keys = texts[0].length + tokens;
  const mask = new Float32Array(texts.length * tokens * keys);
  texts.forEach((text, b) => {
    const row = new Float32Array(keys);
    text.forEach((id, i) => (row[i] = id === pad ? BLOCKED : 0));
    for (let t = 0; t < tokens; t++) mask.set(row, (b * tokens + t) * keys);
  });
  return tf.tensor4d(mask, [texts.length, 1, tokens, keys]);
}

/** All codes of all images, image after image. */
export function everyCode(images: number, codes: number): CodePlace[] {
  return Array.from({ length: images * codes }, (_, i) => ({ image: Math.floor(i / codes), code: i % codes }));
}
