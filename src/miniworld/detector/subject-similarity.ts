/**
 * Similarity to held-out reference images: the cosine of the detector's own features of a generated figure with those of
 * images of the concept that neither training nor any reward has seen. Where `identity` asks for a decision among
 * strangers, which a blurred figure fails at once, this says how near it comes (as CLIP-I and DINO do for photographs).
 */
import { conceptReferences } from '../concept-images';
import { type Concept, CONCEPTS } from '../concepts';
import { SUBJECT_ROW, CELL, SIZES } from '../scene';
import type { SpriteSheet } from '../sprites';
import { readValues, tf } from '../../engine';
import type { SceneDetector } from './detector';

/** Left edges of the places where a concept's figure can stand, pixels; see `besideLayout` and `creatureColumn`. */
export const FIGURE_COLUMNS = [0, 8, 24] as const;
const SIDE = SIZES.subject / CELL;

export class SubjectSimilarity {
  private constructor(
    private readonly detector: SceneDetector,
    /** Mean features of the held-out references of all concepts. */
    private readonly mean: Float64Array,
    /** Centerd features of this concept's. */
    private readonly own: readonly Float64Array[],
  ) {}

  /** Looks at the held-out references of every concept. */
  static of(detector: SceneDetector, concept: Concept, sprites: SpriteSheet): SubjectSimilarity {
    const byName = new Map(
      CONCEPTS.map(({ name }, i) => {
        const images = conceptReferences(CONCEPTS[i], 'heldout', sprites);
        const values = Float32Array.from(images.flatMap(({ pixels }) => Array.from(pixels, (v) => v / 127.5 - 1)));
        const pixels = tf.tensor4d(values, [images.length, 64, 64, 3]);
        const seen = figureFeatures(detector, pixels);
        pixels.dispose();
        return [
          name,
          images.map(({ scene }, k) => seen[FIGURE_COLUMNS.findIndex((x) => x === scene.items[0].x)][k]),
        ] as const;
      }),
    );
    const all = [...byName.values()].flat();
    const mean = Float64Array.from(all[0], (_, d) => all.reduce((sum, f) => sum + f[d], 0) / all.length);
    const own = (byName.get(concept.name) ?? []).map((f) => centered(f, mean));
    return new SubjectSimilarity(detector, mean, own);
  }

  /**
   * Mean cosine with the references, of the place where the figure is most alike, in [-1, 1].
   * @param pixels `[n, 64, 64, 3]` in [-1, 1]
   */
  score(pixels: tf.Tensor4D): number[] {
    const places = figureFeatures(this.detector, pixels);
    return places[0].map((_, i) => {
      const alike = places.map((features) => {
        const here = centered(features[i], this.mean);
        return this.own.reduce((sum, other) => sum + cosine(here, other), 0) / this.own.length;
      });
      return Math.max(...alike);
    });
  }
}

/** The detector's features of what stands at each of the places, cell by cell: place, image, feature. */
export function figureFeatures(detector: SceneDetector, pixels: tf.Tensor4D): Float32Array[][] {
  const [count] = pixels.shape;
  const flat = readValues(() => {
    const map = detector.net.trunk.forward(pixels);
    return tf.concat(
      FIGURE_COLUMNS.map((x) => tf.slice(map, [0, SUBJECT_ROW / CELL, x / CELL, 0], [-1, SIDE, SIDE, -1])),
    );
  });
  const size = flat.length / (FIGURE_COLUMNS.length * count);
  return FIGURE_COLUMNS.map((_, place) =>
    Array.from({ length: count }, (__, i) => flat.slice((place * count + i) * size, (place * count + i + 1) * size)),
  );
}

export const centered = (feature: Float32Array, mean: Float64Array) =>
  Float64Array.from(feature, (v, d) => v - mean[d]);

export function cosine(a: Float64Array, b: Float64Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let d = 0; d < a.length; d++) {
    ab += a[d] * b[d];
    aa += a[d] * a[d];
    bb += b[d] * b[d];
  }
  return ab / (Math.sqrt(aa * bb) || 1);
}
