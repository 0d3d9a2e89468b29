/**
 * Show-o's training loss (Show-o, Sec. 3.4): masked prediction of image codes given the prompt, answers to questions
 * about an image, and text alone; 1.0 t2i + 1.0 mmu + 0.1 lm as published.
 */
import { crossEntropy, type Rng, tf } from '../../engine';
import {
  packedMask,
  type PackedRow,
  packTurns,
  padRows,
  scoredOf,
  type Turn,
  withWordNoise,
} from '../../nn/packed-rows';
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

/** Mean cross-entropy over the masked codes, over the whole vocabulary; unshifted. */
export function imageLoss(network: ShowoNetwork, rows: readonly Labelled[]): tf.Scalar {
  return tf.tidy(() => {
    const { config } = network;
    const masks = rows.map((row) => textToImageMask(row.ids, network.vocabulary));
    const hidden = network.hidden(
      rows.map((row) => row.ids),
      masks,
    );
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, config.hidden_size]);
    const start = imageStart(config);
    const length = rows[0].ids.length;
    const positions: number[] = [];
    const targets: number[] = [];
    rows.forEach((row, b) => {
      for (let i = start; i < start + config.num_vq_tokens; i++) {
        if (row.labels[i] < 0) continue;
        positions.push(b * length + i);
        targets.push(row.labels[i]);
      }
    });
    // Only scored positions reach the output layer: half of the codes are visible, and need no logits.
    const logits = network.logits(tf.gather(flat, tf.tensor1d(positions, 'int32')));
    return crossEntropy(logits, tf.tensor1d(targets, 'int32'));
  });
}

/** Mean cross-entropy over answers and their end tokens; shifted by one. */
export function answerLoss(network: ShowoNetwork, rows: readonly PackedRow[]): tf.Scalar {
  return tf.tidy(() => {
    const { logits, targets } = packedLogits(network, rows);
    return crossEntropy(logits, tf.tensor1d(targets, 'int32'));
  });
}

/** Logits over the whole vocabulary that predict the scored tokens, `[scored, vocab]`, and those tokens, in order. */
export function packedLogits(
  network: ShowoNetwork,
  rows: readonly PackedRow[],
): { logits: tf.Tensor2D; targets: number[] } {
  const padded = padRows(rows, network.vocabulary.pad);
  const { at, targets } = scoredOf(padded);
  const logits = tf.tidy(() => {
    const hidden = network.hidden(
      padded.map((row) => row.ids),
      padded.map(packedMask),
      padded.map((row) => row.positions),
    );
    const flat = tf.reshape<tf.Rank.R2>(hidden, [-1, network.config.hidden_size]);
    return network.logits(tf.gather(flat, tf.tensor1d(at, 'int32')));
  });
  return { logits, targets };
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
 * The loss of a batch: sum over kinds of example of weight x mean over scored tokens.
 * @throws RangeError for no examples; PromptTooLongError when a prompt does not fit the layout
 */
export function supervisedLoss(
  network: ShowoNetwork,
  encoder: ExampleEncoder,
  examples: readonly SupervisedExample[],
  rng: Rng,
  { cfgDropout = 0.1, answerCorruption = 0, weights = {} }: SupervisedLossOptions = {},
): tf.Scalar {
  if (examples.length === 0) throw new RangeError('a supervised step needs at least one example');
  const of = <Task extends SupervisedExample['task']>(task: Task) =>
    examples.filter((example): example is Kind<Task> => example.task === task);
  const noisy = (rows: readonly PackedRow[], name: string) =>
    answerCorruption > 0 ? withWordNoise(rows, answerCorruption, rng.split(name)) : rows;
  const images = imageRows(network.config, encoder, of('generate'), cfgDropout, rng.split('masks'));
  const answers = answerRows(network.config, encoder, of('understand'));
  const texts = of('text').map(({ text }) => textRow(network.config, encoder.answer(text)));
  const weightOf = { ...PUBLISHED_WEIGHTS, ...weights };
  return tf.tidy(() => {
    const terms: tf.Scalar[] = [];
    if (images.length > 0) terms.push(tf.mul(imageLoss(network, images), weightOf.generate));
    if (answers.length > 0) terms.push(tf.mul(answerLoss(network, noisy(answers, 'answers')), weightOf.understand));
    if (texts.length > 0) terms.push(tf.mul(answerLoss(network, texts), weightOf.text));
    return tf.addN<tf.Scalar>(terms);
  });
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
