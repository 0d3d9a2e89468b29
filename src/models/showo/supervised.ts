/**
 * Show-o's training loss (Show-o, Sec. 3.4): masked prediction of image codes given the prompt, answers to questions
 * about an image, and text alone; 1.0 t2i + 1.0 mmu + 0.1 lm as published.
 */
import { crossEntropy, type Rng, tf } from '../../engine';
import { type PackedRow, packTurns, type Turn, withWordNoise } from '../../nn/packed-rows';
import { rotaryTables } from '../../nn/rotary';
import {
  type PackedInputs,
  packedInputs,
  type PackedSizes,
  packedSizes,
  roundedSizes,
  rowInputs,
  scoredInputs,
} from '../../nn/row-inputs';
import { rotaryOf } from './layers';
import { type KindInputs, presentOnly, weightedLosses } from '../supervised';
import type { SupervisedExample, SupervisedLossOptions } from '../unified';
import { type ShowoConfig, showoVocabulary } from './config';
import { imageStart, type Labelled, textToImageExample, understandingPrefix } from './layout';
import { textToImageMask } from './masks';
import type { ShowoNetwork } from './network';

/** `mmu soi codes eoi`, whose tokens see each other, and then, for each turn, `sot question answer eot`. */
export function packImage(config: ShowoConfig, codes: ArrayLike<number>, turns: readonly Turn[]): PackedRow {
  const { sot, eot } = showoVocabulary(config);
  const beginning = understandingPrefix(config, codes, []).slice(0, -1);
  const asked = turns.map((turn) => ({ ...turn, question: [sot, ...turn.question] }));
  return packTurns(beginning, asked, eot, true);
}

/** `sot text` and then, for each turn, `question answer eot`. */
export function packText(config: ShowoConfig, text: readonly number[], turns: readonly Turn[]): PackedRow {
  const { sot, eot } = showoVocabulary(config);
  return packTurns([sot, ...text], turns, eot);
}

/** Mask rate of a training image: cos(pi u / 2), at least one position. */
export function maskedPositions(count: number, rng: Rng): Uint8Array {
  const hidden = Math.max(1, Math.round(count * Math.cos((rng.uniform() * Math.PI) / 2)));
  const out = new Uint8Array(count);
  for (const i of rng.shuffle(Array.from({ length: count }, (_, k) => k)).slice(0, hidden)) out[i] = 1;
  return out;
}

/**
 * Rows of images as tensors, their masked codes scored (unshifted). Padding that stands before every row's text is left
 * out: no other token sees it.
 * @param sizes what is padded to; default: the rows' own
 */
export function imageInputs(
  config: ShowoConfig,
  rows: readonly Labelled[],
  sizes: ImageSizes = imageSizes(config, rows),
): PackedInputs {
  const vocabulary = showoVocabulary(config);
  const whole = config.max_text_len + config.num_vq_tokens + 2;
  const dropped = whole - sizes.length;
  const empty = textToImageExample(config, null, new Int32Array(config.num_vq_tokens), []);
  const all = [...rows, ...Array.from({ length: sizes.rows - rows.length }, () => empty)];
  const ids = all.map((row) => row.ids.slice(dropped));
  const at: number[] = [];
  const targets: number[] = [];
  const start = imageStart(config) - dropped;
  all.forEach(({ labels }, b) => {
    for (let i = start; i < start + config.num_vq_tokens; i++) {
      if (labels[i + dropped] < 0) continue;
      at.push(b * sizes.length + i);
      targets.push(labels[i + dropped]);
    }
  });
  const positions = Array.from({ length: sizes.length }, (_, i) => dropped + i);
  return {
    ...rowInputs(
      ids,
      ids.map((row) => textToImageMask(row, vocabulary)),
      rotaryTables(positions, rotaryOf(config)),
    ),
    ...scoredInputs(at, targets, sizes.scored),
  };
}

export type ImageSizes = PackedSizes;

/** Rows, tokens a row without the padding that all have before their text, and masked codes. */
export function imageSizes(config: ShowoConfig, rows: readonly Labelled[]): ImageSizes {
  const { pad } = showoVocabulary(config);
  const padding = Math.min(...rows.map(({ ids }) => ids.findIndex((id) => id !== pad)));
  const start = imageStart(config);
  const scored = rows.reduce((sum, { labels }) => {
    return sum + labels.slice(start, start + config.num_vq_tokens).filter((label) => label >= 0).length;
  }, 0);
  return { rows: rows.length, length: rows[0].ids.length - padding, scored };
}

/**
 * Mean cross-entropy of what is scored, over the whole vocabulary. A function of tensors: see `nn/row-inputs`.
 * @param inputs of {@link imageInputs}, or of packed rows
 */
export function scoredLoss(network: ShowoNetwork, inputs: PackedInputs): tf.Scalar {
  return tf.tidy(() => crossEntropy(scoredLogits(network, inputs), inputs.targets));
}

/** Logits over the whole vocabulary at the scored places, `[size, vocab]`. Half of the codes are visible, and need none. */
export function scoredLogits(network: ShowoNetwork, inputs: PackedInputs): tf.Tensor2D {
  return tf.tidy(() => network.logits(network.hiddenAt(inputs, inputs.at)));
}

/** Answers as tensors. @param sizes what is padded to; default: the rows' own */
export function answerInputs(config: ShowoConfig, rows: readonly PackedRow[], sizes?: PackedSizes): PackedInputs {
  return packedInputs(rows, showoVocabulary(config).pad, rotaryOf(config), sizes);
}

/** Text and images as the model's ids: what a supervised example is made of. */
export interface ExampleEncoder {
  readonly prompt: (text: string) => number[];
  readonly answer: (text: string) => number[];
  readonly codes: (image: Exclude<UnderstandPart, string>) => ArrayLike<number>;
}

type Kind<Task> = Extract<SupervisedExample, { task: Task }>;
type UnderstandPart = Kind<'understand'>['parts'][number];

/** Loss weights of Show-o: t2i, mmu, lm. */
const PUBLISHED_WEIGHTS = { generate: 1, understand: 1, text: 0.1 } as const;

/**
 * What a supervised step takes: of each kind of example its rows as tensors, and the kind's weight.
 * @throws RangeError for no examples; PromptTooLongError when a prompt does not fit the layout
 */
export function supervisedInputs(
  config: ShowoConfig,
  encoder: ExampleEncoder,
  examples: readonly SupervisedExample[],
  rng: Rng,
  { cfgDropout = 0.1, answerCorruption = 0, weights = {}, sizes }: SupervisedLossOptions = {},
): KindInputs<PackedInputs> {
  if (examples.length === 0) throw new RangeError('a supervised step needs at least one example');
  const of = <Task extends SupervisedExample['task']>(task: Task) =>
    examples.filter((example): example is Kind<Task> => example.task === task);
  const noisy = (rows: readonly PackedRow[], name: string) =>
    answerCorruption > 0 ? withWordNoise(rows, answerCorruption, rng.split(name)) : rows;
  const images = imageRows(config, encoder, of('generate'), cfgDropout, rng.split('masks'));
  const answers = answerRows(config, encoder, of('understand'));
  const texts = of('text').map(({ text }) => textRow(config, encoder.answer(text)));
  const packed = (kind: 'understand' | 'text', rows: readonly PackedRow[]) => {
    if (rows.length === 0) return undefined;
    const own = packedSizes(rows);
    return answerInputs(config, rows, sizes ? sizes(kind, own) : roundedSizes(own));
  };
  const drawn = () => {
    const own = imageSizes(config, images);
    return imageInputs(config, images, withinImages(config, sizes ? sizes('generate', own) : roundedSizes(own)));
  };
  return {
    weights: { ...PUBLISHED_WEIGHTS, ...weights },
    tensors: presentOnly({
      generate: images.length > 0 ? drawn() : undefined,
      understand: packed('understand', noisy(answers, 'answers')),
      text: packed('text', texts),
    }),
  };
}

/** A row of an image has at most its whole length, and at most all of its codes are masked. */
function withinImages(config: ShowoConfig, sizes: ImageSizes): ImageSizes {
  return {
    rows: sizes.rows,
    length: Math.min(sizes.length, config.max_text_len + config.num_vq_tokens + 2),
    scored: Math.min(sizes.scored, sizes.rows * config.num_vq_tokens),
  };
}

/** Sum over kinds of example of weight x mean over scored tokens. A function of tensors. */
export function supervisedLoss(network: ShowoNetwork, { tensors, weights }: KindInputs<PackedInputs>): tf.Scalar {
  return tf.tidy(() => weightedLosses(tensors, weights, (inputs) => scoredLoss(network, inputs)));
}

function imageRows(
  config: ShowoConfig,
  encoder: ExampleEncoder,
  examples: readonly Kind<'generate'>[],
  cfgDropout: number,
  rng: Rng,
): Labelled[] {
  return examples.map(({ prompt, image }) => {
    const text = rng.uniform() < cfgDropout ? null : encoder.prompt(prompt);
    return textToImageExample(config, text, encoder.codes(image), maskedPositions(config.num_vq_tokens, rng));
  });
}

/** Questions that begin with the same image, or the same text, share a row: their beginning is computed once. */
function answerRows(
  config: ShowoConfig,
  encoder: ExampleEncoder,
  examples: readonly Kind<'understand'>[],
): PackedRow[] {
  const groups = new Map<unknown, Kind<'understand'>[]>();
  for (const example of examples) {
    const [first] = example.parts;
    // A text is a beginning only if something follows it; a question alone begins nothing.
    const key = typeof first === 'string' && example.parts.length < 2 ? example : (imageOf(example.parts) ?? first);
    groups.set(key, [...(groups.get(key) ?? []), example]);
  }
  return [...groups.values()].map((group) => packGroup(config, encoder, group));
}

function packGroup(config: ShowoConfig, encoder: ExampleEncoder, group: readonly Kind<'understand'>[]): PackedRow {
  const turns = (skipped: number, encode: (text: string) => number[]) =>
    group.map(({ parts, answer }): Turn => {
      const question = wordsOf(parts).slice(skipped).join(' ');
      return { question: encode(skipped > 0 ? ` ${question}` : question), answer: encoder.answer(answer) };
    });
  const [{ parts }] = group;
  const image = imageOf(parts);
  if (image) return packImage(config, encoder.codes(image), turns(0, encoder.prompt));
  const [beginning, ...rest] = wordsOf(parts);
  if (rest.length === 0) return packText(config, [], turns(0, encoder.prompt));
  const ids = encoder.prompt(beginning);
  // A subject is introduced once in a sequence: by its beginning, if that speaks of it.
  const introduced = ids.length > encoder.answer(beginning).length;
  return packText(config, ids, turns(1, introduced ? encoder.answer : encoder.prompt));
}

function textRow(config: ShowoConfig, text: readonly number[]): PackedRow {
  const { sot, eot } = showoVocabulary(config);
  return packTurns([], [{ question: [sot], answer: text }], eot);
}

/** Its one image, if it has any. @throws RangeError for several */
export function imageOf<T extends object>(parts: readonly (string | T)[]): T | undefined {
  const images = parts.filter((part): part is T => typeof part !== 'string');
  if (images.length > 1) throw new RangeError(`Show-o is asked about one image at a time, got ${images.length}`);
  return images[0];
}

export function wordsOf(parts: readonly unknown[]): string[] {
  return parts.filter((part): part is string => typeof part === 'string');
}
