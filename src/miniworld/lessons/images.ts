/** The images that scorers learn from: renderings and what the image tokenizer makes of them, moved, blurred, noisy. */
import { renderConcept } from '../concept-images';
import { CONCEPT_VIEWS, CONCEPTS, type Concept } from '../concepts';
import { renderScene } from '../render';
import { sampleSubject, sampleScene, SIZES, type Scene, type SceneItem } from '../scene';
import type { SpriteSheet } from '../sprites';
import { COLORS, BACKGROUNDS, OBJECTS, IMAGE_SIZE, TRAIN_COMBINATIONS, HELD_OUT_COMBINATIONS } from '../world';
import { readValues, type Rng, tf } from '../../engine';
import { pixelsTensor } from '../../io';

/** An image tokenizer whose codes are made of bits (MAGVIT-v2's lookup-free quantization). */
export interface BinaryTokenizer {
  /** Pixels `[n, height, width, 3]` in [-1, 1] to `[n, rows, columns, bits]`: the signs are the bits. */
  encodeContinuous(pixels: tf.Tensor4D): tf.Tensor4D;
  /** Pixels of bits, -1 or 1. */
  decodeEntries(entries: tf.Tensor4D): tf.Tensor4D;
}

/** An image with its truth. */
export interface TrueImage {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  readonly scene: Scene;
  /** The concept that the subject is, if it is one. */
  readonly concept?: Concept;
}

/**
 * Images for the detector: scenes of both splits, concepts in all their views, and scenes that follow no layout, so
 * that it reads what is there instead of guessing what usually is.
 */
export function detectorImage(rng: Rng, sprites: SpriteSheet): TrueImage {
  const u = rng.uniform();
  if (u < 0.3)
    return conceptImage(rng, sprites, rng.int(CONCEPT_VIEWS), [...TRAIN_COMBINATIONS, ...HELD_OUT_COMBINATIONS]);
  const scene = u < 0.5 ? looseScene(rng) : sampleScene(rng, u < 0.75 ? 'train' : 'heldout');
  return { pixels: renderScene(scene, sprites), scene };
}

/** A concept alone or beside one of the combinations, on any background. */
export function conceptImage(
  rng: Rng,
  sprites: SpriteSheet,
  view: number,
  combinations: typeof TRAIN_COMBINATIONS,
): TrueImage {
  const concept = rng.pick(CONCEPTS);
  const object = rng.uniform() < 0.6 ? rng.pick(combinations) : undefined;
  const { pixels, scene } = renderConcept(concept, { background: rng.pick(BACKGROUNDS), object, view, rng }, sprites);
  return { pixels, scene, concept };
}

/** One to four figures, each of any kind, color and size, about the middles of the quarters. */
export function looseScene(rng: Rng): Scene {
  const slots = rng.shuffle([0, 1, 2, 3]).slice(0, 1 + rng.int(4));
  const subjectAt = slots.length < 3 && rng.uniform() < 0.3 ? slots[0] : -1;
  const items = slots.map((slot): SceneItem => {
    const size = slot === subjectAt ? SIZES.subjectBesideObject : rng.pick([SIZES.objectBesideSubject, SIZES.pair]);
    const near = (quarter: number) => 4 * Math.round((16 + 32 * quarter - size / 2 + 10 * (rng.uniform() - 0.5)) / 4);
    const x = Math.min(Math.max(near(slot % 2), 0), IMAGE_SIZE - size);
    const y = Math.min(Math.max(near(slot >> 1), 0), IMAGE_SIZE - size);
    if (slot === subjectAt) return sampleSubject(rng, x, y, size);
    return { object: rng.pick(OBJECTS), color: rng.pick(COLORS), category: 'object', x, y, size };
  });
  return { kind: 'count', background: rng.pick(BACKGROUNDS), items };
}

/** The image moved by (x, y) pixels to the right and down; its border fills what becomes free. */
export function shifted(pixels: Uint8Array, x: number, y: number): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const inside = (v: number) => Math.min(Math.max(v, 0), IMAGE_SIZE - 1);
  for (let row = 0; row < IMAGE_SIZE; row++) {
    for (let column = 0; column < IMAGE_SIZE; column++) {
      const from = (inside(row - y) * IMAGE_SIZE + inside(column - x)) * 3;
      const to = (row * IMAGE_SIZE + column) * 3;
      out[to] = pixels[from];
      out[to + 1] = pixels[from + 1];
      out[to + 2] = pixels[from + 2];
    }
  }
  return out;
}

/** Pixels as the image tokenizer gives them back, `[n, 64, 64, 3]` in [-1, 1]. */
export function throughTokenizer(imageTokenizer: BinaryTokenizer, pixels: tf.Tensor4D): tf.Tensor4D {
  return decoded(imageTokenizer, pixels, (count) => new Float32Array(count).fill(1));
}

/**
 * Through the tokenizer with some codes wrong, as in generated images: each bit of the codes flips with a chance
 * that is drawn for each image, at most `worst`.
 */
export function throughNoisyTokenizer(
  imageTokenizer: BinaryTokenizer,
  pixels: tf.Tensor4D,
  worst: number,
  rng: Rng,
): tf.Tensor4D {
  return decoded(imageTokenizer, pixels, (count) => {
    const flips = rng.uniform(count);
    const each = count / pixels.shape[0];
    for (let b = 0; b < pixels.shape[0]; b++) {
      const chance = worst * rng.uniform() ** 2;
      for (let i = b * each; i < (b + 1) * each; i++) flips[i] = flips[i] < chance ? -1 : 1;
    }
    return flips;
  });
}

/** Encodes, multiplies every bit (-1 or 1) by the factors, decodes. */
function decoded(
  imageTokenizer: BinaryTokenizer,
  pixels: tf.Tensor4D,
  factors: (count: number) => Float32Array,
): tf.Tensor4D {
  return tf.tidy(() => {
    const z = imageTokenizer.encodeContinuous(pixels);
    const signs = tf.sub(tf.mul(tf.cast(tf.greater(z, 0), 'float32'), 2), 1);
    const entries: tf.Tensor4D = tf.mul(signs, tf.tensor(factors(z.size), z.shape));
    return tf.clipByValue(imageTokenizer.decodeEntries(entries), -1, 1);
  });
}

/** Images at once through the tokenizer: bounds memory. */
const CHUNK = 50;

/**
 * RGB bytes of images after {@link throughNoisyTokenizer}, with at most 3% of the bits wrong. Done once for a pool
 * of images: the tokenizer is several times as large as a scorer, and would take most of each step.
 */
export function reconstructions(
  imageTokenizer: BinaryTokenizer,
  images: readonly Uint8Array[],
  rng: Rng,
): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let from = 0; from < images.length; from += CHUNK) {
    const part = images.slice(from, from + CHUNK);
    const bytes = readValues<'int32'>(() => {
      const back = throughNoisyTokenizer(imageTokenizer, pixelsTensor(part, IMAGE_SIZE, IMAGE_SIZE), 0.03, rng);
      return tf.cast(tf.round(tf.mul(tf.add(back, 1), 127.5)), 'int32');
    });
    const size = bytes.length / part.length;
    part.forEach((_, i) => out.push(Uint8Array.from(bytes.subarray(i * size, (i + 1) * size))));
  }
  return out;
}

/** What a scorer shall see through: a little noise (standard deviation up to 0.1) and blur (up to half of a 3 x 3 mean). */
export function augmented(pixels: tf.Tensor4D, rng: Rng): tf.Tensor4D {
  return tf.tidy(() => {
    const [n, ...shape] = pixels.shape;
    const each = (highest: number) => {
      const strengths = rng.uniform(n).map((u) => highest * u * u);
      return tf.tensor4d(strengths, [n, 1, 1, 1]);
    };
    const soft = tf.add(pixels, tf.mul(tf.sub(tf.avgPool(pixels, 3, 1, 'same'), pixels), each(0.5)));
    // One field of noise a batch, of another strength and sign in each image: drawing them all would take longer than a step.
    const noise = tf.tensor4d(rng.normal(pixels.size / n), [1, ...shape]);
    const signs = tf.tensor4d(
      Float32Array.from({ length: n }, () => (rng.uniform() < 0.5 ? -1 : 1)),
      [n, 1, 1, 1],
    );
    return tf.clipByValue(tf.add(soft, tf.mul(noise, tf.mul(signs, each(0.1)))), -1, 1) as tf.Tensor4D;
  });
}
