/**
 * Chameleon by text and images: captions drawn, questions answered, as Chameleon mini learned them. Conversations of
 * published checkpoints go through `renderChameleon`, `promptIds` and `sampleSequences`.
 */
import { Rng } from '../../engine';
import { type Image, imagesToTensor, tensorToImages } from '../../io';
import { type Asked, type GeneratedImage, imagesAsked, type Seeded, type TextCodec } from '../../text/asked';
import { imageIds } from './layout';
import type { ChameleonModel } from './model';
import { sampleSequences, type SequenceOptions } from './sampler';

/**
 * Draws an image after each caption: `bos caption image`.
 * @param text the tokenizer of the model's words
 * @param options of the sampler (`guidanceScale`, `image`, ...), and a seed
 * @throws RangeError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generateImages(
  model: ChameleonModel,
  text: TextCodec,
  captions: readonly string[],
  options: Omit<SequenceOptions, 'maxNewTokens' | 'maxImages'> & Seeded = {},
): Promise<GeneratedImage[]> {
  if (captions.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const v = model.vocabulary;
  const prompts = captions.map((caption) => [v.bos, ...text.encode(caption), v.boi]);
  const rngs = captions.map((_, i) => new Rng(seed).split(i));
  // An image that has begun is finished; no text is wanted after it.
  const sampled = sampleSequences(model, prompts, rngs, { ...sampling, maxNewTokens: 1 });
  const codes = sampled.map(({ ids }) => Int32Array.from([...ids].filter((id) => v.codeOfId[id] >= 0), (id) => v.codeOfId[id])); // prettier-ignore
  const images = await codesToImages(model, codes, options.grid);
  return captions.map((caption, i) => ({ caption, codes: codes[i], image: images[i] }));
}

/**
 * Answers questions, with an image or without: `bos image question`, and the model goes on in words.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, and a seed; greedy unless `text` says otherwise, 16 tokens at most
 * @returns the answers' words
 * @throws RangeError for an image of another size than the model sees
 */
export function answerQuestions(
  model: ChameleonModel,
  text: TextCodec,
  asked: readonly Asked[],
  options: Omit<SequenceOptions, 'maxImages'> & Seeded = {},
): string[] {
  if (asked.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const { config, vocabulary: v } = model;
  const { images, of } = imagesAsked(asked, config.resolution, config.resolution);
  const codes = imagesToCodes(model, images);
  const prompts = asked.map(({ question }, i) => {
    const image = of[i] < 0 ? [] : imageIds(config, v, codes[of[i]]);
    return [v.bos, ...image, ...text.encode(question)];
  });
  const rngs = asked.map((_, i) => new Rng(seed).split(i));
  const settled = { text: { temperature: 0 }, maxNewTokens: 16, ...sampling, maxImages: 0 };
  const special = new Set([v.bos, v.eos, v.pad, v.boi, v.eoi, v.image, v.separator, v.newline]);
  return sampleSequences(model, prompts, rngs, settled).map(({ ids }) =>
    text.decode([...ids].filter((id) => !special.has(id))),
  );
}

/** Codes as the image tokenizer shows them. @param grid rows and columns; default: the configuration's */
export async function codesToImages(
  model: ChameleonModel,
  codes: readonly ArrayLike<number>[],
  grid?: SequenceOptions['grid'],
): Promise<Image[]> {
  if (codes.length === 0) return [];
  const pixels = model.decodeImages(codes, grid);
  try {
    return await tensorToImages(pixels);
  } finally {
    pixels.dispose();
  }
}

/** Images of one size as codes, row by row. */
export function imagesToCodes(model: ChameleonModel, images: readonly Image[]): Int32Array[] {
  if (images.length === 0) return [];
  const pixels = imagesToTensor(images);
  try {
    return model.encodeImages(pixels);
  } finally {
    pixels.dispose();
  }
}
