/** What `generateImages` and `answerQuestions` of every backbone take and give: text and images, no ids. */
import type { Image } from '../io';
import type { TextTokenizer } from './tokenizer';

/** What is used of a tokenizer. */
export type TextCodec = Pick<TextTokenizer, 'encode' | 'decode'>;

/** A question, about an image when there is one. */
export interface Asked {
  readonly question: string;
  /** Of the size that the model sees. */
  readonly image?: Image;
}

/** An image that was drawn. */
export interface GeneratedImage {
  readonly caption: string;
  /** The image tokenizer's codes, row by row. */
  readonly codes: Int32Array;
  readonly image: Image;
}

/** Picks a random draw: the same seed gives the same images and answers. */
export interface Seeded {
  /** Every image or answer draws from a stream of its own of this seed. Default 0. */
  readonly seed?: number;
}

/**
 * The images of the questions, which must have the size that a model sees.
 * @returns the different ones, and for each question its image's place among them, -1 where there is none
 * @throws RangeError naming the question and both sizes
 */
export function imagesAsked(asked: readonly Asked[], width: number, height: number): { images: Image[]; of: number[] } {
  const images = [...new Set(asked.flatMap(({ image }) => image ?? []))];
  asked.forEach(({ question, image }) => {
    if (image && (image.width !== width || image.height !== height))
      throw new RangeError(
        `'${question}' is asked about a picture of ${image.width} x ${image.height}; this model sees ${width} x ${height}: resize it first`,
      );
  });
  return { images, of: asked.map(({ image }) => (image ? images.indexOf(image) : -1)) };
}
