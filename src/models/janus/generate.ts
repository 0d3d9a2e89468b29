/** Janus by text and pictures: captions drawn, questions answered. The samplers underneath work on ids. */
import { readValues, Stream } from '../../engine';
import { type Picture, picturesToTensor, tensorToPictures } from '../../io';
import { type Asked, type GeneratedPicture, picturesAsked, type Seeded, type TextCodec } from '../../text/asked';
import type { QuestionText } from '../../text/chat/janus';
import { type AnswerOptions, type JanusPrefix, sampleAnswers } from './answers';
import { pictureCodes } from './config';
import { generationIds, textIds, understandingIds } from './layout';
import type { JanusModel } from './model';
import { PictureBatch, type PictureOptions } from './pictures';

/** How the text of captions is put to the model. */
export interface CaptionFormat {
  /** Default: the caption as it is, as Janus mini learned it. Janus-Pro: `descriptionText`. */
  readonly format?: (caption: string) => string;
}

/** How the text of questions is put to the model. */
export interface QuestionFormat {
  /** Default: the question after the picture, as Janus mini learned it. Janus-Pro: `questionText`. */
  readonly format?: (question: string) => QuestionText;
}

/**
 * Draws a picture of each caption, code after code.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, a format, and a seed
 * @throws PromptTooLongError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generatePictures(
  model: JanusModel,
  text: TextCodec,
  captions: readonly string[],
  options: PictureOptions & CaptionFormat & Seeded = {},
): Promise<GeneratedPicture[]> {
  if (captions.length === 0) return [];
  const { seed = 0, format = (caption: string) => caption, ...sampling } = options;
  const prompts = captions.map((caption) => generationIds(model.config, text.encode(format(caption))));
  const streams = captions.map((_, i) => new Stream(seed).fork(i));
  const codes = new PictureBatch(model, prompts, streams, sampling).finish().map((sample) => sample.codes);
  const pictures = await codesToPictures(model, codes);
  return captions.map((caption, i) => ({ caption, codes: codes[i], picture: pictures[i] }));
}

/**
 * Answers questions, with a picture or without.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, a format, and a seed; greedy unless a temperature is given, 16 tokens at most
 * @returns the answers' words
 * @throws RangeError for a picture of another size than the model sees
 */
export function answerQuestions(
  model: JanusModel,
  text: TextCodec,
  asked: readonly Asked[],
  options: AnswerOptions & QuestionFormat & Seeded = {},
): string[] {
  if (asked.length === 0) return [];
  const { seed = 0, format = (question: string) => ({ before: '', after: question }), ...sampling } = options;
  const side = model.config.vision.image_size;
  picturesAsked(asked, side, side);
  const prefixes = asked.map(({ question, picture }): JanusPrefix => {
    const { before, after } = format(question);
    const [first, then] = [before, after].map((part) => text.encode(part));
    if (!picture) return { ids: textIds(model.config, [...first, ...then]) };
    return { ids: understandingIds(model.config, then, first), picture };
  });
  const streams = asked.map((_, i) => new Stream(seed).fork(i));
  const answers = sampleAnswers(model, prefixes, streams, { temperature: 0, maxNewTokens: 16, ...sampling });
  const special = new Set<number>(Object.values(model.config.tokens));
  return answers.map(({ ids }) => text.decode(ids.filter((id) => !special.has(id))));
}

/** Codes as the VQ tokenizer shows them. @throws RangeError for another number of codes than a picture has */
export async function codesToPictures(model: JanusModel, codes: readonly ArrayLike<number>[]): Promise<Picture[]> {
  if (codes.length === 0) return [];
  const pixels = model.decodeCodes(codes);
  try {
    return await tensorToPictures(pixels);
  } finally {
    pixels.dispose();
  }
}

/** Pictures of one size as codes, row by row: what the model would have to draw. */
export function picturesToCodes(model: JanusModel, pictures: readonly Picture[]): Int32Array[] {
  if (pictures.length === 0) return [];
  const flat = readValues<'int32'>(() => model.encodePixels(picturesToTensor(pictures)));
  const count = pictureCodes(model.config);
  return pictures.map((_, i) => flat.slice(i * count, (i + 1) * count));
}
