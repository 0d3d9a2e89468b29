/** Show-o by text and images: captions drawn, questions answered. The samplers underneath work on ids. */
import { readValues, Rng } from '../../engine';
import { type Image, imagesToTensor, tensorToImages } from '../../io';
import { type Asked, type GeneratedImage, imagesAsked, type Seeded, type TextCodec } from '../../text/asked';
import { type AnswerOptions, type AnswerPrefix, sampleAnswers } from './answers';
import { textPrefix, understandingPrefix } from './layout';
import type { ShowoModel } from './model';
import { ImageBatch, type ImageOptions } from './sampler';

/**
 * Draws an image of each caption.
 * @param text the tokenizer of the model's words
 * @param options of the MaskGIT sampler, and a seed
 * @throws PromptTooLongError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generateImages(
  model: ShowoModel,
  text: TextCodec,
  captions: readonly string[],
  options: ImageOptions & Seeded = {},
): Promise<GeneratedImage[]> {
  if (captions.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const rngs = captions.map((_, i) => new Rng(seed).split(i));
  const codes = new ImageBatch(model, captions.map((caption) => text.encode(caption)), rngs, sampling).finish(); // prettier-ignore
  const images = await codesToImages(model, codes);
  return captions.map((caption, i) => ({ caption, codes: codes[i], image: images[i] }));
}

/**
 * Answers questions, with an image or without.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, and a seed; greedy unless a temperature is given, 16 tokens at most
 * @returns the answers' words
 * @throws RangeError for an image of another size than the model sees
 */
export function answerQuestions(
  model: ShowoModel,
  text: TextCodec,
  asked: readonly Asked[],
  options: AnswerOptions & Seeded = {},
): string[] {
  if (asked.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const [rows, columns] = model.grid.map((codes) => codes * model.imageTokenizer.stride);
  const { images, of } = imagesAsked(asked, columns, rows);
  const codes = imagesToCodes(model, images);
  const prefixes = asked.map(({ question }, i): AnswerPrefix => {
    const ids = text.encode(question);
    return of[i] < 0
      ? { ids: textPrefix(model.config, ids), image: false }
      : { ids: understandingPrefix(model.config, codes[of[i]], ids), image: true };
  });
  const rngs = asked.map((_, i) => new Rng(seed).split(i));
  const answers = sampleAnswers(model, prefixes, rngs, { temperature: 0, maxNewTokens: 16, ...sampling });
  return answers.map(({ ids }) => text.decode(ids.filter((id) => id !== model.vocabulary.eot)));
}

/** Codes as the image tokenizer shows them. @throws RangeError for codes that do not fill the grid */
export async function codesToImages(model: ShowoModel, codes: readonly ArrayLike<number>[]): Promise<Image[]> {
  if (codes.length === 0) return [];
  const pixels = model.imageTokenizer.decode(codes, model.grid);
  try {
    return await tensorToImages(pixels);
  } finally {
    pixels.dispose();
  }
}

/** Images of one size as codes, row by row. @throws RangeError for sizes that differ or that codes do not divide */
export function imagesToCodes(model: ShowoModel, images: readonly Image[]): Int32Array[] {
  if (images.length === 0) return [];
  const flat = readValues<'int32'>(() => model.imageTokenizer.encode(imagesToTensor(images)));
  const count = flat.length / images.length;
  return images.map((_, i) => flat.slice(i * count, (i + 1) * count));
}
