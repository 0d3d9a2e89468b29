/** Janus' sequence layouts: ids in, ids out. Every function is pure and works on plain numbers. */
import { IGNORE } from '../../nn/packed-rows';
import { type JanusConfig, imageCodes, visionTokens } from './config';

export { IGNORE };

/** A sequence does not fit the model's positions. */
export class PromptTooLongError extends RangeError {
  override readonly name = 'PromptTooLongError';
}

/**
 * A question about one image: `bos before begin-of-image placeholders end-of-image after`.
 * @param before ids before the image, e.g. of `<|User|>: `
 * @param after ids after it: the question, and what asks for the answer
 * @throws PromptTooLongError
 */
export function understandingIds(
  config: JanusConfig,
  after: readonly number[],
  before: readonly number[] = [],
): number[] {
  const { bos, boi, image, eoi } = config.tokens;
  const placeholders = new Array<number>(visionTokens(config)).fill(image);
  return fitting(config, [bos, ...before, boi, ...placeholders, eoi, ...after], 0);
}

/** Text alone: `bos text`. @throws PromptTooLongError */
export function textIds(config: JanusConfig, text: readonly number[]): number[] {
  return fitting(config, [config.tokens.bos, ...text], 0);
}

/** An image to be generated: `bos text begin-of-image`. @throws PromptTooLongError */
export function generationIds(config: JanusConfig, text: readonly number[]): number[] {
  return fitting(config, [config.tokens.bos, ...text, config.tokens.boi], imageCodes(config));
}

/** The dropped condition: of the same length, all but begin of text and begin of image replaced by padding. */
export function unconditionalIds({ tokens }: JanusConfig, ids: readonly number[]): number[] {
  return ids.map((id) => (id === tokens.bos || id === tokens.boi ? id : tokens.pad));
}

export interface Labelled {
  readonly ids: number[];
  /** What each position is; {@link IGNORE} where nothing is scored. The loss shifts them by one. */
  readonly labels: number[];
}

/** Prefix, answer and end token, right-padded to `length`; answer and end token are scored. @throws PromptTooLongError */
export function answerExample(
  config: JanusConfig,
  prefix: readonly number[],
  answer: readonly number[],
  length: number,
): Labelled {
  const { eos, pad } = config.tokens;
  const ids = [...prefix, ...answer, eos];
  if (ids.length > length)
    throw new PromptTooLongError(`question and answer have ${ids.length} tokens, ${length} were expected at most`);
  const padding = length - ids.length;
  return {
    ids: [...ids, ...new Array<number>(padding).fill(pad)],
    labels: [...prefix.map(() => IGNORE), ...answer, eos, ...new Array<number>(padding).fill(IGNORE)],
  };
}

/** Rows of one length, padded on the left. @returns the rows, and how much padding each got */
export function padLeft(
  config: JanusConfig,
  rows: readonly (readonly number[])[],
): { ids: number[][]; pads: number[] } {
  const length = Math.max(...rows.map((row) => row.length));
  const pads = rows.map((row) => length - row.length);
  return { ids: rows.map((row, b) => [...new Array<number>(pads[b]).fill(config.tokens.pad), ...row]), pads };
}

function fitting(config: JanusConfig, ids: number[], following: number): number[] {
  const most = config.text.max_position_embeddings;
  if (ids.length + following > most) {
    const then = following > 0 ? ` and ${following} codes to come` : '';
    throw new PromptTooLongError(
      `the prompt has ${ids.length} tokens${then}; this model has ${most} positions: shorten it`,
    );
  }
  return ids;
}
