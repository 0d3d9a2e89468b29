/**
 * DER (UniCTokens-R1, Eq. 20): how alike an image and its references are, patch by patch. The paper prints 1 - cosine of
 * "patch-level visual features" of DINOv2 and names no pooling. Here every patch looks for its best match in the other
 * image, both ways, so that it does not matter where in the image the subject stands. The class token is another metric,
 * `dino-similarity.ts`.
 */
import { readValues, tf } from '../engine';
import type { Image } from '../io';
import type { PatchFeatures } from '../models/scorers/vision/transformer';
import { defineReward, type Reward, type Score } from './reward';
import { scoreImages } from './seen';

/** Images to the vectors of their patches. Frozen. `Dinov2` is one. */
export interface PatchEmbedder {
  /** As it stands in logs: `dinov2_large`. */
  readonly name: string;
  /** One list of unit vectors an image, in order. */
  embedPatches(images: readonly Image[]): Promise<PatchFeatures[]>;
}

export interface PatchSimilarity {
  /** Mean over the image's patches of the best cosine with any patch of the reference. */
  readonly image: number;
  /** The other way: mean over the reference's patches. */
  readonly reference: number;
  /** Mean of both. */
  readonly symmetric: number;
}

/** Best matches of two images' patches, in [-1, 1]. @throws RangeError for vectors of unlike length */
export function patchSimilarity(image: PatchFeatures, reference: PatchFeatures): PatchSimilarity {
  if (image.size !== reference.size)
    throw new RangeError(`patches of ${image.size} and ${reference.size} numbers cannot be compared`);
  const [own, other] = readValues(() => {
    const rows = ({ values, count, size }: PatchFeatures) => tf.tensor2d(values, [count, size]);
    const cosines = tf.clipByValue(tf.matMul(rows(image), rows(reference), false, true), -1, 1);
    return tf.stack([tf.mean(tf.max(cosines, 1)), tf.mean(tf.max(cosines, 0))]);
  });
  return { image: own, reference: other, symmetric: (own + other) / 2 };
}

/**
 * `der_SCORER`: mean over the references of the symmetric best match, in [-1, 1]; NaN without references or for a broken
 * image. References are embedded once, as long as they live.
 */
export function derReward(embedder: PatchEmbedder): Reward {
  const known = new WeakMap<Image, PatchFeatures>();
  const ofReferences = async (references: readonly Image[]): Promise<PatchFeatures[]> => {
    const fresh = [...new Set(references)].filter((image) => !known.has(image));
    const features = fresh.length > 0 ? await embedder.embedPatches(fresh) : [];
    fresh.forEach((image, i) => known.set(image, features[i]));
    return references.map((image) => known.get(image) as PatchFeatures);
  };
  return defineReward(`der_${embedder.name}`, [-1, 1], (samples) =>
    scoreImages(samples, async (seen) => {
      const features = await embedder.embedPatches(seen.map(({ image }) => image));
      const scores: Score[] = [];
      for (const [i, { references }] of seen.entries())
        scores.push(meanOf(features[i], await ofReferences(references)));
      return scores;
    }),
  );
}

function meanOf(own: PatchFeatures, references: readonly PatchFeatures[]): Score {
  if (references.length === 0) return { value: NaN, reason: 'there are no reference images' };
  const values = references.map((reference) => patchSimilarity(own, reference).symmetric);
  return { value: values.reduce((sum, value) => sum + value, 0) / values.length };
}
