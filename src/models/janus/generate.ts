/** Janus by text and images: captions drawn, questions answered. The samplers underneath work on ids. */
import { readValues, Rng } from '../../engine';
import { type Image, imagesToTensor, tensorToImages } from '../../io';
import { type Asked, type GeneratedImage, imagesAsked, type Seeded, type TextCodec } from '../../text/asked';
import type { QuestionText } from '../../text/chat/janus';
import { type AnswerOptions, type JanusPrefix, sampleAnswers } from './answers';
import { imageCodes } from './config';
import { generationIds, textIds, understandingIds } from './layout';
import type { JanusModel } from './model';
import { ImageBatch, type ImageOptions } from './images';

/** How the text of captions is put to the model. */
export interface CaptionFormat {
  /** Default: the caption as it is, as Janus mini learned it. Janus-Pro: `descriptionText`. */
  readonly format?: (caption: string) => string;
}

/** How the text of questions is put to the model. */
export interface QuestionFormat {
  /** Default: the question after the image, as Janus mini learned it. Janus-Pro: `questionText`. */
  readonly format?: (question: string) => QuestionText;
}

/**
 * Draws an image of each caption, code after code.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, a format, and a seed
 * @throws PromptTooLongError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generateImages(
  model: JanusModel,
  text: TextCodec,
  captions: readonly string[],
  options: ImageOptions & CaptionFormat & Seeded = {},
): Promise<GeneratedImage[]> {
  if (captions.length === 0) return [];
  const { seed = 0, format = (caption: string) => caption, ...sampling } = options;
  const prompts = captions.map((caption) => generationIds(model.config, text.encode(format(caption))));
  const rngs = captions.map((_, i) => new Rng(seed).split(i));
  const codes = new ImageBatch(model, prompts, rngs, sampling).finish().map((sample) => sample.codes);
  const images = await codesToImages(model, codes);
  return captions.map((caption, i) => ({ caption, codes: codes[i], image: images[i] }));
}

/**
 * Answers questions, with an image or without.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, a format, and a seed; greedy unless a temperature is given, 16 tokens at most
 * @returns the answers' words
 * @throws RangeError for an image of another size than the model sees
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
  imagesAsked(asked, side, side);
  const prefixes = asked.map(({ question, image }): JanusPrefix => {
    const { before, after } = format(question);
    const [first, then] = [before, after].map((part) => text.encode(part));
    if (!image) return { ids: textIds(model.config, [...first, ...then]) };
    return { ids: understandingIds(model.config, then, first), image };
  });
  const rngs = asked.map((_, i) => new Rng(seed).split(i));
  const answers = sampleAnswers(model, prefixes, rngs, { temperature: 0, maxNewTokens: 16, ...sampling });
  const special = new Set<number>(Object.values(model.config.tokens));
  return answers.map(({ ids }) => text.decode(ids.filter((id) => !special.has(id))));
}

/** Codes as the VQ tokenizer shows them. @throws RangeError for another number of codes than an image has */
export async function codesToImages(model: JanusModel, codes: readonly ArrayLike<number>[]): Promise<Image[]> {
  if (codes.length === 0) return [];
  const pixels = model.decodeCodes(codes);
  try {
    return await tensorToImages(pixels);
  } finally {
    pixels.dispose();
  }
}

/** Images of one size as codes, row by row: what the model would have to draw. */
export function imagesToCodes(model: JanusModel, images: readonly Image[]): Int32Array[] {
  if (images.length === 0) return [];
  const flat = readValues<'int32'>(() => model.encodePixels(imagesToTensor(images)));
  const count = imageCodes(model.config);
  return images.map((_, i) => flat.slice(i * count, (i + 1) * count));
}
