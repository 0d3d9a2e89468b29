/** Any model by text and images, in one call each: captions drawn, questions answered. */
import { Rng } from '../engine';
import { type Image, tensorToImages } from '../io';
import type { Asked, GeneratedImage, Seeded } from '../text/asked';
import { decodeInPasses } from './passes';
import type { ImageOptions, TextOptions, UnifiedModel } from './unified';

/**
 * Draws an image of each caption.
 * @param options of the model's sampler, and a seed
 * @throws PromptTooLongError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generateImages(
  model: UnifiedModel,
  captions: readonly string[],
  { seed = 0, ...options }: ImageOptions & Seeded = {},
): Promise<GeneratedImage[]> {
  if (captions.length === 0) return [];
  const requests = captions.map((caption, i) => ({
    prompt: model.prompt([caption], 'generate'),
    rng: new Rng(seed).split(i),
  }));
  const segments = model.imageSampler(requests, options).finish();
  const images = await decodeImages(
    model,
    segments.map(({ codes }) => codes),
    segments[0].grid,
  );
  return captions.map((caption, i) => ({ caption, codes: segments[i].codes, image: images[i] }));
}

/**
 * Answers questions, with an image or without.
 * @param options of the model's sampler, and a seed; greedy unless a temperature is given, 16 tokens at most
 * @throws RangeError for an image of another size than the model sees
 */
export function answerQuestions(
  model: UnifiedModel,
  asked: readonly Asked[],
  { seed = 0, ...options }: TextOptions & Seeded = {},
): string[] {
  if (asked.length === 0) return [];
  const requests = asked.map(({ question, image }, i) => ({
    prompt: model.prompt(image ? [image, question] : [question], 'understand'),
    rng: new Rng(seed).split(i),
  }));
  const answers = model.sampleText(requests, { temperature: 0, maxNewTokens: 16, ...options });
  return answers.map(({ text }) => text);
}

/** Codes as the image tokenizer shows them. @param grid default: the tokenizer's */
export async function decodeImages(
  model: UnifiedModel,
  codes: readonly ArrayLike<number>[],
  grid?: readonly [rows: number, columns: number],
): Promise<Image[]> {
  if (codes.length === 0) return [];
  const pixels = decodeInPasses(model.imageTokenizer, codes, grid);
  try {
    return await tensorToImages(pixels);
  } finally {
    pixels.dispose();
  }
}
