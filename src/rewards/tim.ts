/** R_TIM: whether text and image say the same, token by token (CoRL, Eq. 4). */
import type { Image } from '../io';
import type { RepresentingModel } from '../models/abilities';
import { checkTexts } from './image-text';
import { defineReward, type Reward } from './reward';
import { scoreImages } from './seen';

/** One vector a token, all of one width. */
export type TokenVectors = readonly ArrayLike<number>[];

/** The tokens of a text and of an image in one space; padding is left out. */
export interface TokenPair {
  readonly text: TokenVectors;
  readonly image: TokenVectors;
}

/**
 * Puts a text and an image into one model's token representations. Frozen: a policy that represents its own samples
 * moves the reward with every step. Which positions are text and which are image, it takes from its sequence's layout.
 */
export interface TokenRepresenter {
  /** As it stands in logs. */
  readonly name: string;
  /** One pair a text and image, in order; lengths may differ from pair to pair. */
  represent(texts: readonly string[], images: readonly Image[]): Promise<readonly TokenPair[]>;
}

/** A model's own last states; give a frozen copy, which is not disposed. */
export function modelRepresenter(model: RepresentingModel): TokenRepresenter {
  return {
    name: `${model.modelType}_frozen`,
    represent: (texts, images) => Promise.resolve(model.tokenStates(images, texts)),
  };
}

export interface TokenMatch {
  /** Mean of the two means, in [-1, 1]. */
  readonly score: number;
  /** Mean over the image's tokens of `imageBest`. */
  readonly imageToText: number;
  /** Mean over the text's tokens of `textBest`. */
  readonly textToImage: number;
  /** Each image token's best cosine with a text token. */
  readonly imageBest: Float64Array;
  /** Each text token's best cosine with an image token. */
  readonly textBest: Float64Array;
}

/**
 * (mean over image tokens of the best cosine with a text token + mean over text tokens of the best with an image token)
 * / 2 (CoRL, Eq. 4), in float64. A zero vector has cosine 0 with every vector, itself included, and that 0 may be the
 * best. Lengths are free, nothing is clipped, and exchanging text and image gives the same score.
 * @throws RangeError for a side without tokens, vectors of unlike width, or numbers that are not finite
 */
export function tokenMatch({ text, image }: TokenPair): TokenMatch {
  const width = text[0]?.length ?? 0;
  const texts = unitVectors('text', text, width);
  const images = unitVectors('image', image, width);
  const textBest = new Float64Array(texts.length).fill(-Infinity);
  const imageBest = new Float64Array(images.length).fill(-Infinity);
  images.forEach((own, j) => {
    texts.forEach((other, k) => {
      let cosine = 0;
      for (let d = 0; d < width; d++) cosine += own[d] * other[d];
      if (cosine > imageBest[j]) imageBest[j] = cosine;
      if (cosine > textBest[k]) textBest[k] = cosine;
    });
  });
  const [imageToText, textToImage] = [mean(imageBest), mean(textBest)];
  return { score: (imageToText + textToImage) / 2, imageToText, textToImage, imageBest, textBest };
}

/** `tim_REPRESENTER`, in [-1, 1], with both halves as parts; NaN for an empty text or a broken image. */
export function timReward(representer: TokenRepresenter): Reward {
  return defineReward(`tim_${representer.name}`, [-1, 1], (samples) =>
    scoreImages(samples, async (seen) => {
      checkTexts(seen);
      const texts = seen.map(({ text }) => text);
      const pairs = await representer.represent(
        texts,
        seen.map(({ image }) => image),
      );
      if (pairs.length !== seen.length)
        throw new Error(`${representer.name} gave ${pairs.length} pairs for ${seen.length} samples`);
      return pairs.map((pair) => {
        const { score, imageToText, textToImage } = tokenMatch(pair);
        return { value: score, parts: { image_to_text: imageToText, text_to_image: textToImage } };
      });
    }),
  );
}

function unitVectors(side: string, tokens: TokenVectors, width: number): Float64Array[] {
  if (tokens.length === 0) throw new RangeError(`the ${side} has no tokens`);
  return tokens.map((token, i) => {
    if (token.length !== width || width === 0)
      throw new RangeError(`${side} token ${i} has ${token.length} numbers; the first text token has ${width}`);
    const unit = Float64Array.from(token);
    const largest = unit.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (!Number.isFinite(largest)) throw new RangeError(`${side} token ${i} holds a number that is not finite`);
    if (largest === 0) return unit;
    // Divided by the largest first, squares neither overflow nor vanish.
    const norm = Math.sqrt(unit.reduce((sum, x) => sum + (x / largest) ** 2, 0));
    return unit.map((x) => x / largest / norm);
  });
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
