/** Chameleon's sequences: text and images one after the other. Pure functions on plain numbers. */
import { IGNORE } from '../../nn/packed-rows';
import type { EncodedPart } from '../../text/chat/message';
import { defaultGrid, type ChameleonConfig } from './config';
import { type ChameleonVocabulary, CODES_A_SIZE_STEP } from './vocabulary';

export { IGNORE };

export type Grid = readonly [rows: number, columns: number];

export interface TextPart {
  readonly kind: 'text';
  readonly ids: readonly number[];
}

export interface ImagePart {
  readonly kind: 'image';
  /** Codebook indices, row by row. */
  readonly codes: ArrayLike<number>;
  /** Default: the configuration's. */
  readonly grid?: Grid;
}

export type Part = TextPart | ImagePart;

/** An image of a sequence does not follow its layout. */
export class ImageLayoutError extends RangeError {
  override readonly name = 'ImageLayoutError';
}

/** What stands at a place of an image: a code, or a token that the layout fixes. */
export type Slot = { readonly kind: 'code' } | { readonly kind: 'forced'; readonly id: number };

/** Number of tokens after the begin token, end token included. */
export function imageLength(config: ChameleonConfig, grid: Grid): number {
  const [rows, columns] = grid;
  return config.layout === 'lumina' ? 2 + rows * (columns + 1) + 1 : rows * columns + 1;
}

/**
 * What follows the begin token after `offset` further tokens of the image.
 * @throws RangeError past the end, or for a grid that the layout cannot write
 */
export function imageSlot(config: ChameleonConfig, v: ChameleonVocabulary, grid: Grid, offset: number): Slot {
  const [rows, columns] = grid;
  const last = imageLength(config, grid) - 1;
  if (offset < 0 || offset > last)
    throw new RangeError(`an image of ${rows} x ${columns} codes has no token ${offset}`);
  if (offset === last) return { kind: 'forced', id: v.eoi };
  if (config.layout === 'chameleon') return { kind: 'code' };
  if (offset < 2) return { kind: 'forced', id: v.sizeId(sizeSteps(grid[offset])) };
  return (offset - 1) % (columns + 1) === 0 ? { kind: 'forced', id: newlineOf(v) } : { kind: 'code' };
}

/** A whole image: begin, what the layout asks for, end. @throws ImageLayoutError, RangeError for codes that do not fit */
export function imageIds(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  codes: ArrayLike<number>,
  grid: Grid = defaultGrid(config),
): number[] {
  const [rows, columns] = grid;
  if (codes.length !== rows * columns || codes.length === 0)
    throw new ImageLayoutError(`an image of ${rows} x ${columns} codes was expected, got ${codes.length} codes`);
  const out = [v.boi];
  let next = 0;
  for (let offset = 0; offset < imageLength(config, grid); offset++) {
    const slot = imageSlot(config, v, grid, offset);
    out.push(slot.kind === 'forced' ? slot.id : codeId(v, codes[next], next++));
  }
  return out;
}

/** Parts as ids, nothing before or after. */
export function sequenceIds(config: ChameleonConfig, v: ChameleonVocabulary, parts: readonly Part[]): number[] {
  return parts.flatMap((part) => (part.kind === 'text' ? [...part.ids] : imageIds(config, v, part.codes, part.grid)));
}

/** Ids and labels of a training example; the loss is shifted by one. */
export interface Labelled {
  readonly ids: number[];
  readonly labels: number[];
}

/**
 * `bos parts.. eos`, right-padded. Scored are the parts marked so, and the end token.
 * @param length of the result; default: as long as it is
 * @throws RangeError when it does not fit into `length`
 */
export function trainingExample(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  parts: readonly (Part & { readonly scored: boolean })[],
  length?: number,
): Labelled {
  const ids = [v.bos];
  const labels = [IGNORE];
  for (const part of parts) {
    const own = sequenceIds(config, v, [part]);
    ids.push(...own);
    labels.push(...(part.scored ? own : own.map(() => IGNORE)));
  }
  ids.push(v.eos);
  labels.push(v.eos);
  const padding = (length ?? ids.length) - ids.length;
  if (padding < 0) throw new RangeError(`the example has ${ids.length} tokens; ${length} were expected at most`);
  for (let i = 0; i < padding; i++) {
    ids.push(v.pad);
    labels.push(IGNORE);
  }
  return { ids, labels };
}

/**
 * Ids back to parts; tokens between images are text. An image that the sequence's end cuts off, or that does not
 * follow the layout, is an error that says where.
 * @param grid of images in the `chameleon` layout, which does not say its size; default: the configuration's
 * @throws ImageLayoutError
 */
export function partsOf(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  ids: ArrayLike<number>,
  grid: Grid = defaultGrid(config),
): Part[] {
  const parts: Part[] = [];
  let text: number[] = [];
  const endText = () => {
    if (text.length > 0) parts.push({ kind: 'text', ids: text });
    text = [];
  };
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== v.boi) {
      if (ids[i] === v.eoi) throw new ImageLayoutError(`an image ends at token ${i}, but none has begun`);
      if (v.codeOfId[ids[i]] >= 0) throw new ImageLayoutError(`token ${i} is an image code outside an image`);
      text.push(ids[i]);
      continue;
    }
    endText();
    const own = imageGrid(config, v, ids, i, grid);
    const end = i + imageLength(config, own);
    parts.push({ kind: 'image', codes: readImage(config, v, ids, i, own), grid: own });
    i = end;
  }
  endText();
  return parts;
}

/** The image that is begun but not ended at the end of the ids: its begin token's place, or -1. */
export function openImage(v: ChameleonVocabulary, ids: ArrayLike<number>): number {
  for (let i = ids.length - 1; i >= 0; i--) {
    if (ids[i] === v.boi) return i;
    if (ids[i] === v.eoi) return -1;
  }
  return -1;
}

/**
 * Placeholders replaced by the images' codes, in order, row by row of `ids`.
 * @param codes all codes of all images, in the order of the placeholders
 * @throws RangeError when there are more or fewer codes than placeholders
 */
export function fillPlaceholders(
  v: ChameleonVocabulary,
  ids: readonly (readonly number[])[],
  codes: ArrayLike<number>,
): number[][] {
  let next = 0;
  const filled = ids.map((row) => row.map((id) => (id === v.image ? codeId(v, codes[next], next++) : id)));
  if (next !== codes.length)
    throw new RangeError(`the text has ${next} image placeholders, the images have ${codes.length} codes`);
  return filled;
}

/**
 * A conversation, ready to be continued: `bos parts..`.
 * @param parts of `encodePrompt`
 * @param images codes of the images, by the numbers that the parts name
 * @throws RangeError for an image that is not given, one that nothing names, or a token that the vocabulary lacks
 */
export function promptIds(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  parts: readonly EncodedPart[],
  images: readonly Omit<ImagePart, 'kind'>[] = [],
): number[] {
  const named = parts.filter((part) => part.kind === 'image').length;
  if (named !== images.length)
    throw new RangeError(`the conversation has ${named} images, the codes of ${images.length} were given`);
  const ids = parts.flatMap((part) => {
    if (part.kind === 'text') return part.ids;
    if (part.kind === 'image') return sequenceIds(config, v, [{ ...images[part.index], kind: 'image' }]);
    if (v.separator === undefined) throw new RangeError('the vocabulary has no separator token to end a message with');
    return [v.separator];
  });
  return [v.bos, ...ids];
}

/** What ends a request: the separator in conversations, nothing elsewhere. */
export function endOfRequest(config: ChameleonConfig, v: ChameleonVocabulary): number[] {
  return config.prompt_format === 'conversation' && v.separator !== undefined ? [v.separator] : [];
}

/**
 * Rows and columns of codes of an image of pixels.
 * @param stride pixels that a code covers along each axis
 * @throws RangeError for a size that the layout cannot write
 */
export function gridOf(config: ChameleonConfig, stride: number, image: { width: number; height: number }): Grid {
  const { width, height } = image;
  const [rows, columns] = defaultGrid(config);
  const step = config.layout === 'lumina' ? stride * CODES_A_SIZE_STEP : 1;
  const fits =
    config.layout === 'lumina'
      ? width % step === 0 && height % step === 0
      : width === columns * stride && height === rows * stride;
  if (fits) return [height / stride, width / stride];
  const seen =
    config.layout === 'lumina' ? `multiples of ${step} pixels` : `${columns * stride} x ${rows * stride} pixels`;
  throw new RangeError(`an image is ${width} x ${height}; this model sees ${seen}: resize it first`);
}

function imageGrid(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  ids: ArrayLike<number>,
  begin: number,
  grid: Grid,
): Grid {
  if (config.layout === 'chameleon') return grid;
  const sizes = [ids[begin + 1], ids[begin + 2]].map((id) => (id === undefined ? undefined : v.sizeOf(id)));
  if (sizes[0] === undefined || sizes[1] === undefined)
    throw new ImageLayoutError(`the image that begins at token ${begin} does not say its height and width`);
  return [sizes[0] * CODES_A_SIZE_STEP, sizes[1] * CODES_A_SIZE_STEP];
}

function readImage(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  ids: ArrayLike<number>,
  begin: number,
  grid: Grid,
): Int32Array {
  const codes: number[] = [];
  const length = imageLength(config, grid);
  for (let offset = 0; offset < length; offset++) {
    const at = begin + 1 + offset;
    if (at >= ids.length)
      throw new ImageLayoutError(
        `the image that begins at token ${begin} is cut off after ${offset} of ${length} tokens`,
      );
    const slot = imageSlot(config, v, grid, offset);
    if (slot.kind === 'forced' ? ids[at] !== slot.id : !(v.codeOfId[ids[at]] >= 0))
      throw new ImageLayoutError(
        `token ${at} of the image that begins at ${begin} is ${ids[at]}, expected ${slot.kind === 'forced' ? slot.id : 'an image code'}`,
      );
    if (slot.kind === 'code') codes.push(v.codeOfId[ids[at]]);
  }
  return Int32Array.from(codes);
}

function codeId(v: ChameleonVocabulary, code: number | undefined, at: number): number {
  const id = code === undefined ? undefined : v.idOfCode[code];
  if (id === undefined)
    throw new RangeError(`image code ${code} at position ${at} is outside 0..${v.idOfCode.length - 1}`);
  return id;
}

function sizeSteps(codes: number): number {
  if (!Number.isInteger(codes) || codes < 1 || codes % CODES_A_SIZE_STEP)
    throw new RangeError(
      `${codes} codes along an axis are no multiple of ${CODES_A_SIZE_STEP}, which size tokens count in`,
    );
  return codes / CODES_A_SIZE_STEP;
}

function newlineOf(v: ChameleonVocabulary): number {
  if (v.newline === undefined)
    throw new RangeError("the vocabulary has no newline token: its images' layout is 'chameleon'");
  return v.newline;
}
