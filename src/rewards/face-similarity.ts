/**
 * FER on photographs (UniCTokens-R1, Sec. 4): whether the face in a picture is the one of the references. The largest
 * face is found by MTCNN, cut out and embedded by FaceNet; the reward is the cosine (the paper prints 1 - cosine and
 * calls it a reward; a reward it is only the other way). In the mini world, whose faces are drawn, `fer_mini_face`
 * stands for it.
 */
import type { Picture } from '../io';
import { cropFace, type DetectedFace } from '../models/experts/mtcnn';
import type { ScoreResult, Scorer } from './scorer';

/** What FER needs of a sample. */
export interface FaceSample {
  readonly picture: Picture;
  /** Pictures of the person, one or more; the mean of the cosines counts. Those without a face are left out. */
  readonly references: readonly Picture[];
}

/** Finds faces, the one to be compared first. `Mtcnn` is one. */
export interface FaceFinder {
  detect(pictures: readonly Picture[]): DetectedFace[][];
}

/** Faces of one size to unit vectors. `FaceNet` is one. */
export interface FaceEmbedder {
  embed(faces: readonly Picture[]): Float32Array[];
}

export interface FaceSimilarityOptions {
  /** As it stands in logs. Default `fer`, for MTCNN and FaceNet; stand-ins have names of their own. */
  readonly name?: string;
  /** Value of a picture without a face. Default 0: no face is as far from the person as an unrelated one. */
  readonly noFaceValue?: number;
  /** Side of the cut-out face in pixels, and how many of them show its surroundings. Default 160 and 0. */
  readonly size?: number;
  readonly margin?: number;
}

/** A face's vector and how sure the finder was of it; or why there is none. */
type Found = { readonly vector: Float32Array; readonly probability: number } | { readonly none: string };

/**
 * FER: mean cosine of the picture's face to the references' faces, in [-1, 1]; `parts` hold the finder's `probability`
 * and the number of `references` that were compared. No face in the picture: `noFaceValue`, with the reason; no face in
 * any reference, or a broken picture: NaN with the reason. Vectors of references are kept as long as their pictures.
 */
export function faceSimilarity(
  finder: FaceFinder,
  embedder: FaceEmbedder,
  options: FaceSimilarityOptions = {},
): Scorer<FaceSample> {
  const { name = 'fer', noFaceValue = 0, size = 160, margin = 0 } = options;
  const known = new WeakMap<Picture, Found>();
  const look = (picture: Picture): Found => {
    const [face] = finder.detect([picture])[0];
    if (!face) return { none: 'no face was found' };
    const [vector] = embedder.embed([cropFace(picture, face.box, { size, margin })]);
    return { vector, probability: face.probability };
  };
  const reference = (picture: Picture): Found => {
    const found = known.get(picture) ?? look(picture);
    known.set(picture, found);
    return found;
  };
  const scoreOne = ({ picture, references }: FaceSample): ScoreResult => {
    const own = look(picture);
    const others = references.map(reference).flatMap((found) => ('vector' in found ? [found.vector] : []));
    if (others.length === 0) return { value: NaN, reason: `no face was found in ${references.length} references` };
    const parts = { references: others.length };
    if ('none' in own) return { value: noFaceValue, reason: own.none, parts: { ...parts, probability: 0 } };
    const cosines = others.map((other) => cosine(own.vector, other));
    const value = cosines.reduce((sum, v) => sum + v, 0) / cosines.length;
    return { value, parts: { ...parts, probability: own.probability } };
  };
  return {
    name,
    range: [Math.min(-1, noFaceValue), Math.max(1, noFaceValue)],
    higherIsBetter: true,
    async score(samples) {
      return samples.map((sample) => {
        try {
          return scoreOne(sample);
        } catch (error) {
          return { value: NaN, reason: error instanceof Error ? error.message : String(error) };
        }
      });
    },
  };
}

/** Of unit vectors; rounding must not lead out of the range. */
function cosine(a: Float32Array, b: Float32Array): number {
  return Math.min(1, Math.max(-1, a.reduce((sum, v, i) => sum + v * b[i], 0))); // prettier-ignore
}
