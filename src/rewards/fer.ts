/**
 * FER on photographs (UniCTokens-R1, Sec. 4): whether the face in an image is the one of the references. The largest
 * face is found by MTCNN, turned to a standard position by its five landmarks, and embedded by FaceNet; the reward is the
 * cosine (the paper prints 1 - cosine and calls it a reward; a reward it is only the other way). In the mini world, whose
 * faces are drawn, `fer_mini_face` stands for it.
 */
import type { Image } from '../io';
import { alignFace, cropFace, type DetectedFace } from '../models/scorers/mtcnn';
import { defineReward, type Reward, type Score } from './reward';
import { scoreImages, type SeenSample } from './seen';

/** Finds faces, the one to be compared first. `Mtcnn` is one. */
export interface FaceFinder {
  detect(images: readonly Image[]): DetectedFace[][];
}

/** Faces of one size to unit vectors. `FaceNet` is one. */
export interface FaceEmbedder {
  /** As it stands in logs: `facenet`. */
  readonly name: string;
  embed(faces: readonly Image[]): Float32Array[];
}

export interface FerOptions {
  /** `landmarks` (default): turned to ArcFace's template. `box`: cut upright, as facenet-pytorch does; another name. */
  readonly align?: 'landmarks' | 'box';
  /** Value of an image without a face. Default 0: no face is as far from the person as an unrelated one. */
  readonly noFaceValue?: number;
  /** Side of the cut-out face in pixels, default 160; of a `box`, how many of them show its surroundings, default 0. */
  readonly size?: number;
  readonly margin?: number;
}

/** A face's vector and how sure the finder was of it; why there is none; or what was wrong with the image. */
type Found =
  | { readonly vector: Float32Array; readonly probability: number }
  | { readonly none: string }
  | { readonly broken: string };

/**
 * `fer_EMBEDDER`: mean cosine of the image's face to the references' faces, in [-1, 1]; `parts` hold `no_face`
 * (1 when none was found, so that its mean is their share), the finder's `probability`, and the number of `references`
 * that were compared. No face in the image: `noFaceValue`, with the reason; no face in
 * any reference, or a broken image: NaN with the reason. Vectors of references are kept as long as their images.
 */
export function ferReward(finder: FaceFinder, embedder: FaceEmbedder, options: FerOptions = {}): Reward {
  const { align = 'landmarks', noFaceValue = 0 } = options;
  const name = `fer_${embedder.name}${align === 'box' ? '_box' : ''}`;
  const known = new WeakMap<Image, Found>();
  const scoreOne = (own: Found, references: readonly Found[]): Score => {
    if ('broken' in own) return { value: NaN, reason: own.broken };
    const others = references.flatMap((found) => ('vector' in found ? [found.vector] : []));
    if (others.length === 0) return { value: NaN, reason: `no face was found in ${references.length} references` };
    const parts = { references: others.length, no_face: 'none' in own ? 1 : 0 };
    if ('none' in own) return { value: noFaceValue, reason: own.none, parts: { ...parts, probability: 0 } };
    const cosines = others.map((other) => cosine(own.vector, other));
    const value = cosines.reduce((sum, v) => sum + v, 0) / cosines.length;
    return { value, parts: { ...parts, probability: own.probability } };
  };
  const range = [Math.min(-1, noFaceValue), Math.max(1, noFaceValue)] as const;
  return defineReward(name, range, (samples) =>
    scoreImages(samples, async (seen) => {
      const fresh = new Set(seen.flatMap(({ references }) => references.filter((image) => !known.has(image))));
      const images = [...seen.map(({ image }) => image), ...fresh];
      const found = lookAll(finder, embedder, images, options);
      [...fresh].forEach((image, i) => known.set(image, found[seen.length + i]));
      const unknown: Found = { none: 'no face was found' };
      const others = ({ references }: SeenSample) => references.map((image) => known.get(image) ?? unknown);
      return Promise.resolve(seen.map((sample, i) => scoreOne(found[i], others(sample))));
    }),
  );
}

/** The first face of each image; all faces are embedded together. */
function lookAll(
  finder: FaceFinder,
  embedder: FaceEmbedder,
  images: readonly Image[],
  { align = 'landmarks', size = 160, margin = 0 }: FerOptions,
): Found[] {
  const faces: Image[] = [];
  const probabilities: number[] = [];
  const found = detectAll(finder, images).map((result, i): number | Exclude<Found, { vector: Float32Array }> => {
    if (typeof result === 'string') return { broken: result };
    const [face] = result;
    if (!face) return { none: 'no face was found' };
    try {
      const image = images[i];
      faces.push(
        align === 'box' ? cropFace(image, face.box, { size, margin }) : alignFace(image, face.landmarks, size),
      );
    } catch (error) {
      return { broken: message(error) };
    }
    probabilities.push(face.probability);
    return faces.length - 1;
  });
  const vectors = embedder.embed(faces);
  return found.map((at) => (typeof at === 'number' ? { vector: vectors[at], probability: probabilities[at] } : at));
}

/** Each image's faces, or what is wrong with it: one broken image must not cost the others their score. */
function detectAll(finder: FaceFinder, images: readonly Image[]): (DetectedFace[] | string)[] {
  try {
    return finder.detect(images);
  } catch {
    return images.map((image) => {
      try {
        return finder.detect([image])[0];
      } catch (error) {
        return message(error);
      }
    });
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Of unit vectors; rounding must not lead out of the range. */
function cosine(a: Float32Array, b: Float32Array): number {
  const product = a.reduce((sum, v, i) => sum + v * b[i], 0);
  return Math.min(1, Math.max(-1, product));
}
