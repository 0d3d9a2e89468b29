/** Show-o by text and pictures: captions drawn, questions answered. The samplers underneath work on ids. */
import { readValues, Stream } from '../../engine';
import { type Picture, picturesToTensor, tensorToPictures } from '../../io';
import { type Asked, type GeneratedPicture, picturesAsked, type Seeded, type TextCodec } from '../../text/asked';
import { type AnswerOptions, type AnswerPrefix, sampleAnswers } from './answers';
import { textPrefix, understandingPrefix } from './layout';
import type { ShowoModel } from './model';
import { PictureBatch, type PictureOptions } from './sampler';

/**
 * Draws a picture of each caption.
 * @param text the tokenizer of the model's words
 * @param options of the MaskGIT sampler, and a seed
 * @throws PromptTooLongError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generatePictures(
  model: ShowoModel,
  text: TextCodec,
  captions: readonly string[],
  options: PictureOptions & Seeded = {},
): Promise<GeneratedPicture[]> {
  if (captions.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const streams = captions.map((_, i) => new Stream(seed).fork(i));
  const codes = new PictureBatch(model, captions.map((caption) => text.encode(caption)), streams, sampling).finish(); // prettier-ignore
  const pictures = await codesToPictures(model, codes);
  return captions.map((caption, i) => ({ caption, codes: codes[i], picture: pictures[i] }));
}

/**
 * Answers questions, with a picture or without.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, and a seed; greedy unless a temperature is given, 16 tokens at most
 * @returns the answers' words
 * @throws RangeError for a picture of another size than the model sees
 */
export function answerQuestions(
  model: ShowoModel,
  text: TextCodec,
  asked: readonly Asked[],
  options: AnswerOptions & Seeded = {},
): string[] {
  if (asked.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const [rows, columns] = model.grid.map((codes) => codes * model.images.stride);
  const { pictures, of } = picturesAsked(asked, columns, rows);
  const codes = picturesToCodes(model, pictures);
  const prefixes = asked.map(({ question }, i): AnswerPrefix => {
    const ids = text.encode(question);
    return of[i] < 0
      ? { ids: textPrefix(model.config, ids), picture: false }
      : { ids: understandingPrefix(model.config, codes[of[i]], ids), picture: true };
  });
  const streams = asked.map((_, i) => new Stream(seed).fork(i));
  const answers = sampleAnswers(model, prefixes, streams, { temperature: 0, maxNewTokens: 16, ...sampling });
  return answers.map(({ ids }) => text.decode(ids.filter((id) => id !== model.vocabulary.eot)));
}

/** Codes as the image tokenizer shows them. @throws RangeError for codes that do not fill the grid */
export async function codesToPictures(model: ShowoModel, codes: readonly ArrayLike<number>[]): Promise<Picture[]> {
  if (codes.length === 0) return [];
  const pixels = model.images.decode(codes, model.grid);
  try {
    return await tensorToPictures(pixels);
  } finally {
    pixels.dispose();
  }
}

/** Pictures of one size as codes, row by row. @throws RangeError for sizes that differ or that codes do not divide */
export function picturesToCodes(model: ShowoModel, pictures: readonly Picture[]): Int32Array[] {
  if (pictures.length === 0) return [];
  const flat = readValues<'int32'>(() => model.images.encode(picturesToTensor(pictures)));
  const count = flat.length / pictures.length;
  return pictures.map((_, i) => flat.slice(i * count, (i + 1) * count));
}
