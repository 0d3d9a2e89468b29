/** Show-o's sequence layouts: ids in, ids and labels out. Every function is pure and works on plain numbers. */
import { IGNORE } from '../../nn/packed-rows';
import { PromptTooLongError } from '../unified';
import { type ShowoConfig, showoVocabulary } from './config';

export { IGNORE };

export interface LayoutOptions {
  /** What happens to text that does not fit. `cut` is upstream's way: shortened, end token put last. Default `error`. */
  readonly overflow?: 'error' | 'cut';
}

export interface Labelled {
  readonly ids: number[];
  readonly labels: number[];
}

/**
 * The text before an image: `[pad].. t2i sot text eot`, left-padded to `max_text_len`.
 * @param text ids, or null for the dropped condition (`t2i sot eot`)
 * @throws PromptTooLongError unless `overflow` is `cut`
 */
export function conditionTokens(
  config: ShowoConfig,
  text: readonly number[] | null,
  options: LayoutOptions = {},
): number[] {
  const v = showoVocabulary(config);
  let ids = [v.t2i, v.sot, ...(text ?? []), v.eot];
  if (ids.length > config.max_text_len) {
    if (options.overflow !== 'cut') {
      throw new PromptTooLongError(
        `the prompt has ${ids.length - 3} tokens; this model's layout holds ${config.max_text_len - 3}: shorten it`,
      );
    }
    ids = [...ids.slice(0, config.max_text_len - 1), v.eot];
  }
  return [...new Array<number>(config.max_text_len - ids.length).fill(v.pad), ...ids];
}

/** The whole text-to-image sequence: condition, soi, codes (codebook ids; `mask` where unknown is -1), eoi. */
export function textToImageIds(config: ShowoConfig, condition: readonly number[], codes: ArrayLike<number>): number[] {
  const v = showoVocabulary(config);
  if (codes.length !== config.num_vq_tokens)
    throw new RangeError(`a picture of this model has ${config.num_vq_tokens} codes, got ${codes.length}`);
  return [...condition, v.soi, ...Array.from(codes, (code) => (code < 0 ? v.mask : v.imageOffset + code)), v.eoi];
}

/** First position of the codes in the text-to-image sequence. */
export function imageStart(config: ShowoConfig): number {
  return config.max_text_len + 1;
}

/**
 * Text-to-image training example (loss unshifted, from the soi position on; soi and eoi labels count, as upstream).
 * @param masked which codes are hidden from the model; only those are scored
 */
export function textToImageExample(
  config: ShowoConfig,
  text: readonly number[] | null,
  codes: ArrayLike<number>,
  masked: ArrayLike<number | boolean>,
  options: LayoutOptions = {},
): Labelled {
  const v = showoVocabulary(config);
  const condition = conditionTokens(config, text, options);
  const ids = textToImageIds(
    config,
    condition,
    Array.from(codes, (code, i) => (masked[i] ? -1 : code)),
  );
  const labels = [
    ...condition,
    v.soi,
    ...Array.from(codes, (code, i) => (masked[i] ? v.imageOffset + code : IGNORE)),
    v.eoi,
  ];
  return { ids, labels: labels.map((label) => (label === v.pad ? IGNORE : label)) };
}

/** `mmu soi codes eoi sot prompt`: a question about an image, ready to be answered. */
export function understandingPrefix(
  config: ShowoConfig,
  codes: ArrayLike<number>,
  prompt: readonly number[],
): number[] {
  const v = showoVocabulary(config);
  return [v.mmu, v.soi, ...Array.from(codes, (code) => v.imageOffset + code), v.eoi, v.sot, ...prompt];
}

/** Position of eoi in {@link understandingPrefix}. */
export function understandingEoi(config: ShowoConfig): number {
  return config.num_vq_tokens + 2;
}

/** `sot prompt`: text alone. */
export function textPrefix(config: ShowoConfig, prompt: readonly number[]): number[] {
  return [showoVocabulary(config).sot, ...prompt];
}

/** Prefix + answer + eot, right-padded; only answer and eot are scored (loss shifted by one). @throws PromptTooLongError */
export function answerExample(
  config: ShowoConfig,
  prefix: readonly number[],
  answer: readonly number[],
  length: number,
): Labelled {
  const v = showoVocabulary(config);
  const ids = [...prefix, ...answer, v.eot];
  if (ids.length > length)
    throw new PromptTooLongError(`question and answer have ${ids.length} tokens, ${length} were expected at most`);
  const labels = [...prefix.map(() => IGNORE), ...answer, v.eot];
  const padding = length - ids.length;
  return {
    ids: [...ids, ...new Array<number>(padding).fill(v.pad)],
    labels: [...labels, ...new Array<number>(padding).fill(IGNORE)],
  };
}
