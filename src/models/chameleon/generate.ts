/**
 * Chameleon by text and pictures: captions drawn, questions answered, as Chameleon mini learned them. Conversations of
 * published checkpoints go through `renderChameleon`, `promptIds` and `sampleSequences`.
 */
import { Stream } from '../../engine';
import { type Picture, picturesToTensor, tensorToPictures } from '../../io';
import { type Asked, type GeneratedPicture, picturesAsked, type Seeded, type TextCodec } from '../../text/asked';
import { pictureIds } from './layout';
import type { ChameleonModel } from './model';
import { sampleSequences, type SequenceOptions } from './sampler';

/**
 * Draws a picture after each caption: `bos caption picture`.
 * @param text the tokenizer of the model's words
 * @param options of the sampler (`guidanceScale`, `image`, ...), and a seed
 * @throws RangeError for a caption that does not fit; the tokenizer's error for words it does not know
 */
export async function generatePictures(
  model: ChameleonModel,
  text: TextCodec,
  captions: readonly string[],
  options: Omit<SequenceOptions, 'maxNewTokens' | 'maxPictures'> & Seeded = {},
): Promise<GeneratedPicture[]> {
  if (captions.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const v = model.vocabulary;
  const prompts = captions.map((caption) => [v.bos, ...text.encode(caption), v.boi]);
  const streams = captions.map((_, i) => new Stream(seed).fork(i));
  // A picture that has begun is finished; no text is wanted after it.
  const sampled = sampleSequences(model, prompts, streams, { ...sampling, maxNewTokens: 1 });
  const codes = sampled.map(({ ids }) => Int32Array.from([...ids].filter((id) => v.codeOfId[id] >= 0), (id) => v.codeOfId[id])); // prettier-ignore
  const pictures = await codesToPictures(model, codes, options.grid);
  return captions.map((caption, i) => ({ caption, codes: codes[i], picture: pictures[i] }));
}

/**
 * Answers questions, with a picture or without: `bos picture question`, and the model goes on in words.
 * @param text the tokenizer of the model's words
 * @param options of the sampler, and a seed; greedy unless `text` says otherwise, 16 tokens at most
 * @returns the answers' words
 * @throws RangeError for a picture of another size than the model sees
 */
export function answerQuestions(
  model: ChameleonModel,
  text: TextCodec,
  asked: readonly Asked[],
  options: Omit<SequenceOptions, 'maxPictures'> & Seeded = {},
): string[] {
  if (asked.length === 0) return [];
  const { seed = 0, ...sampling } = options;
  const { config, vocabulary: v } = model;
  const { pictures, of } = picturesAsked(asked, config.resolution, config.resolution);
  const codes = picturesToCodes(model, pictures);
  const prompts = asked.map(({ question }, i) => {
    const picture = of[i] < 0 ? [] : pictureIds(config, v, codes[of[i]]);
    return [v.bos, ...picture, ...text.encode(question)];
  });
  const streams = asked.map((_, i) => new Stream(seed).fork(i));
  const settled = { text: { temperature: 0 }, maxNewTokens: 16, ...sampling, maxPictures: 0 };
  const special = new Set([v.bos, v.eos, v.pad, v.boi, v.eoi, v.image, v.separator, v.newline]);
  return sampleSequences(model, prompts, streams, settled).map(({ ids }) =>
    text.decode([...ids].filter((id) => !special.has(id))),
  );
}

/** Codes as the image tokenizer shows them. @param grid rows and columns; default: the configuration's */
export async function codesToPictures(
  model: ChameleonModel,
  codes: readonly ArrayLike<number>[],
  grid?: SequenceOptions['grid'],
): Promise<Picture[]> {
  if (codes.length === 0) return [];
  const pixels = model.decodePictures(codes, grid);
  try {
    return await tensorToPictures(pixels);
  } finally {
    pixels.dispose();
  }
}

/** Pictures of one size as codes, row by row. */
export function picturesToCodes(model: ChameleonModel, pictures: readonly Picture[]): Int32Array[] {
  if (pictures.length === 0) return [];
  const pixels = picturesToTensor(pictures);
  try {
    return model.encodePictures(pixels);
  } finally {
    pixels.dispose();
  }
}
