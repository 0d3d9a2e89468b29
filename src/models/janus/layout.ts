/** Janus' sequence layouts: ids in, ids out. Every function is pure and works on plain numbers. */
import type { Image } from '../../io';
import { PromptTooLongError } from '../unified';
import { type JanusConfig, imageCodes, type JanusTokens, visionTokens } from './config';

/** A question, whose answer follows. */
export interface UnderstandingPrompt {
  readonly task: 'understand';
  readonly ids: readonly number[];
  /** What the placeholders among the ids stand for, in order; of the size that the model sees. */
  readonly images: readonly Image[];
  /** Ids of the beginning that several questions may share: an image, say. */
  readonly shared: number;
}

/** A description, whose image follows. */
export interface GenerationPrompt {
  readonly task: 'generate';
  readonly ids: readonly number[];
}

export type JanusPrompt = UnderstandingPrompt | GenerationPrompt;

/** A prompt that is made for a task. @throws RangeError for one that is made for the other */
export function promptOf(prompt: JanusPrompt, task: JanusPrompt['task']): JanusPrompt {
  if (prompt.task !== task) throw new RangeError(`a prompt made to ${prompt.task} cannot be used to ${task}`);
  return prompt;
}

/** What stands in a sequence between its begin and its end: ids of text, or an image that is looked at. */
export type LayoutPart = readonly number[] | 'image';

/**
 * Text and images in order: `bos` and then, for each image, `begin-of-image placeholders end-of-image`.
 * @throws PromptTooLongError
 */
export function understandingIds(config: JanusConfig, parts: readonly LayoutPart[]): number[] {
  const { bos, boi, image, eoi } = config.tokens;
  const placeholders = new Array<number>(visionTokens(config)).fill(image);
  const ids = parts.flatMap((part) => (part === 'image' ? [boi, ...placeholders, eoi] : part));
  return fitting(config, [bos, ...ids], 1);
}

/** An image to be generated: `bos text begin-of-image`. @throws PromptTooLongError */
export function generationIds(config: JanusConfig, text: readonly number[]): number[] {
  return fitting(config, [config.tokens.bos, ...text, config.tokens.boi], imageCodes(config));
}

/** The dropped condition: of the same length, all but begin of text and begin of image replaced by padding. */
export function unconditionalIds({ tokens }: JanusConfig, ids: readonly number[]): number[] {
  return ids.map((id) => (id === tokens.bos || id === tokens.boi ? id : tokens.pad));
}

/**
 * Ids that text is never sampled as: they mean images, and an answer with a placeholder in it could not be read again,
 * for no image belongs to it.
 */
export function imageIds({ image, boi, eoi }: JanusTokens): number[] {
  return [image, boi, eoi];
}

/** Rows of one length, padded on the left. @param length default: the longest row's @returns the rows, and how much padding each got */
export function padLeft(
  config: JanusConfig,
  rows: readonly (readonly number[])[],
  length = Math.max(...rows.map((row) => row.length)),
): { ids: number[][]; pads: number[] } {
  const pads = rows.map((row) => length - row.length);
  return { ids: rows.map((row, b) => [...new Array<number>(pads[b]).fill(config.tokens.pad), ...row]), pads };
}

function fitting(config: JanusConfig, ids: number[], following: number): number[] {
  const most = config.text.max_position_embeddings;
  if (ids.length + following > most) {
    const then = following > 1 ? ` and ${following} codes to come` : ' and an answer to come';
    throw new PromptTooLongError(
      `the prompt has ${ids.length} tokens${then}; this model has ${most} positions: shorten it`,
    );
  }
  return ids;
}
