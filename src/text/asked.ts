/** What `generatePictures` and `answerQuestions` of every backbone take and give: text and pictures, no ids. */
import type { Picture } from '../io';
import type { TextTokenizer } from './tokenizer';

/** What is used of a tokenizer. */
export type TextCodec = Pick<TextTokenizer, 'encode' | 'decode'>;

/** A question, about a picture when there is one. */
export interface Asked {
  readonly question: string;
  /** Of the size that the model sees. */
  readonly picture?: Picture;
}

/** A picture that was drawn. */
export interface GeneratedPicture {
  readonly caption: string;
  /** The image tokenizer's codes, row by row. */
  readonly codes: Int32Array;
  readonly picture: Picture;
}

/** Picks a random draw: the same seed gives the same pictures and answers. */
export interface Seeded {
  /** Every picture or answer draws from a stream of its own of this seed. Default 0. */
  readonly seed?: number;
}

/**
 * The pictures of the questions, which must have the size that a model sees.
 * @returns the different ones, and for each question its picture's place among them, -1 where there is none
 * @throws RangeError naming the question and both sizes
 */
export function picturesAsked(
  asked: readonly Asked[],
  width: number,
  height: number,
): { pictures: Picture[]; of: number[] } {
  const pictures = [...new Set(asked.flatMap(({ picture }) => picture ?? []))];
  asked.forEach(({ question, picture }) => {
    if (picture && (picture.width !== width || picture.height !== height))
      throw new RangeError(
        `'${question}' is asked about a picture of ${picture.width} x ${picture.height}; this model sees ${width} x ${height}: resize it first`,
      );
  });
  return { pictures, of: asked.map(({ picture }) => (picture ? pictures.indexOf(picture) : -1)) };
}
