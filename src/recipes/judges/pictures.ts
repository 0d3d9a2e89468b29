/** The pictures that judges learn from: renderings and what the image tokenizer makes of them, moved, blurred, noisy. */
import {
  COLOURS,
  CONCEPT_VIEWS,
  CONCEPTS,
  GROUNDS,
  OBJECTS,
  PICTURE_SIZE,
  renderConcept,
  renderScene,
  sampleCreature,
  sampleScene,
  SIZES,
  TRAIN_COMBINATIONS,
  HELD_OUT_COMBINATIONS,
  type Concept,
  type Scene,
  type SceneItem,
  type SpriteSheet,
} from '../../data';
import { readValues, type Stream, tf } from '../../engine';
import type { MagvitTokenizer } from '../../models/showo/magvit';
import { pixelsTensor } from '../../sft/train-magvit';

/** A picture with its truth. */
export interface TruePicture {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  readonly scene: Scene;
  /** The concept that the creature is, if it is one. */
  readonly concept?: Concept;
}

/**
 * Pictures for the reader: scenes of both splits, concepts in all their views, and scenes that follow no layout, so
 * that it reads what is there instead of guessing what usually is.
 */
export function readerPicture(stream: Stream, sprites: SpriteSheet): TruePicture {
  const u = stream.uniform();
  if (u < 0.3)
    return conceptPicture(stream, sprites, stream.int(CONCEPT_VIEWS), [
      ...TRAIN_COMBINATIONS,
      ...HELD_OUT_COMBINATIONS,
    ]);
  const scene = u < 0.5 ? looseScene(stream) : sampleScene(stream, u < 0.75 ? 'train' : 'heldout');
  return { pixels: renderScene(scene, sprites), scene };
}

/** A concept alone or beside one of the combinations, on any ground. */
export function conceptPicture(
  stream: Stream,
  sprites: SpriteSheet,
  view: number,
  combinations: typeof TRAIN_COMBINATIONS,
): TruePicture {
  const concept = stream.pick(CONCEPTS);
  const companion = stream.uniform() < 0.6 ? stream.pick(combinations) : undefined;
  const { pixels, scene } = renderConcept(concept, { ground: stream.pick(GROUNDS), companion, view, stream }, sprites);
  return { pixels, scene, concept };
}

/** One to four figures, each of any kind, colour and size, about the middles of the quarters. */
export function looseScene(stream: Stream): Scene {
  const slots = stream.shuffle([0, 1, 2, 3]).slice(0, 1 + stream.int(4));
  const creatureAt = slots.length < 3 && stream.uniform() < 0.3 ? slots[0] : -1;
  const items = slots.map((slot): SceneItem => {
    const size = slot === creatureAt ? SIZES.besideCreature : stream.pick([SIZES.companion, SIZES.pair]);
    const near = (quarter: number) =>
      4 * Math.round((16 + 32 * quarter - size / 2 + 10 * (stream.uniform() - 0.5)) / 4);
    const x = Math.min(Math.max(near(slot % 2), 0), PICTURE_SIZE - size);
    const y = Math.min(Math.max(near(slot >> 1), 0), PICTURE_SIZE - size);
    if (slot === creatureAt) return sampleCreature(stream, x, y, size);
    return { object: stream.pick(OBJECTS), colour: stream.pick(COLOURS), category: 'object', x, y, size };
  });
  return { kind: 'count', ground: stream.pick(GROUNDS), items };
}

/** The picture moved by (x, y) pixels to the right and down; its border fills what becomes free. */
export function shifted(pixels: Uint8Array, x: number, y: number): Uint8Array {
  const out = new Uint8Array(pixels.length);
  const inside = (v: number) => Math.min(Math.max(v, 0), PICTURE_SIZE - 1);
  for (let row = 0; row < PICTURE_SIZE; row++) {
    for (let column = 0; column < PICTURE_SIZE; column++) {
      const from = (inside(row - y) * PICTURE_SIZE + inside(column - x)) * 3;
      const to = (row * PICTURE_SIZE + column) * 3;
      out[to] = pixels[from];
      out[to + 1] = pixels[from + 1];
      out[to + 2] = pixels[from + 2];
    }
  }
  return out;
}

/** Pixels as the image tokenizer gives them back, `[n, 64, 64, 3]` in [-1, 1]. */
export function throughTokenizer(images: MagvitTokenizer, pixels: tf.Tensor4D): tf.Tensor4D {
  return decoded(images, pixels, (count) => new Float32Array(count).fill(1));
}

/**
 * Through the tokenizer with some codes wrong, as in generated pictures: each bit of the codes flips with a chance
 * that is drawn for each picture, at most `worst`.
 */
export function throughNoisyTokenizer(
  images: MagvitTokenizer,
  pixels: tf.Tensor4D,
  worst: number,
  stream: Stream,
): tf.Tensor4D {
  return decoded(images, pixels, (count) => {
    const flips = stream.fill('uniform', count);
    const each = count / pixels.shape[0];
    for (let b = 0; b < pixels.shape[0]; b++) {
      const chance = worst * stream.uniform() ** 2;
      for (let i = b * each; i < (b + 1) * each; i++) flips[i] = flips[i] < chance ? -1 : 1;
    }
    return flips;
  });
}

/** Encodes, multiplies every bit (-1 or 1) by the factors, decodes. */
function decoded(images: MagvitTokenizer, pixels: tf.Tensor4D, factors: (count: number) => Float32Array): tf.Tensor4D {
  return tf.tidy(() => {
    const z = images.encodeContinuous(pixels);
    const signs = tf.sub(tf.mul(tf.cast(tf.greater(z, 0), 'float32'), 2), 1);
    const entries: tf.Tensor4D = tf.mul(signs, tf.tensor(factors(z.size), z.shape));
    return tf.clipByValue(images.decodeEntries(entries), -1, 1);
  });
}

/** Pictures at once through the tokenizer: bounds memory. */
const CHUNK = 50;

/**
 * RGB bytes of pictures after {@link throughNoisyTokenizer}, with at most 3% of the bits wrong. Done once for a pool
 * of pictures: the tokenizer is several times as large as a judge, and would take most of each step.
 */
export function reconstructions(
  images: MagvitTokenizer,
  pictures: readonly Uint8Array[],
  stream: Stream,
): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let from = 0; from < pictures.length; from += CHUNK) {
    const part = pictures.slice(from, from + CHUNK);
    const bytes = readValues<'int32'>(() => {
      const back = throughNoisyTokenizer(images, pixelsTensor(part, PICTURE_SIZE, PICTURE_SIZE), 0.03, stream);
      return tf.cast(tf.round(tf.mul(tf.add(back, 1), 127.5)), 'int32');
    });
    const size = bytes.length / part.length;
    part.forEach((_, i) => out.push(Uint8Array.from(bytes.subarray(i * size, (i + 1) * size))));
  }
  return out;
}

/** What a judge shall see through: a little noise (standard deviation up to 0.1) and blur (up to half of a 3 x 3 mean). */
export function augmented(pixels: tf.Tensor4D, stream: Stream): tf.Tensor4D {
  return tf.tidy(() => {
    const [n, ...shape] = pixels.shape;
    const each = (highest: number) => tf.tensor4d(stream.fill('uniform', n).map((u) => highest * u * u), [n, 1, 1, 1]); // prettier-ignore
    const soft = tf.add(pixels, tf.mul(tf.sub(tf.avgPool(pixels, 3, 1, 'same'), pixels), each(0.5)));
    // One field of noise a batch, of another strength and sign in each picture: drawing them all would take longer than a step.
    const noise = tf.tensor4d(stream.fill('normal', pixels.size / n), [1, ...shape]);
    const signs = tf.tensor4d(
      Float32Array.from({ length: n }, () => (stream.uniform() < 0.5 ? -1 : 1)),
      [n, 1, 1, 1],
    );
    return tf.clipByValue(tf.add(soft, tf.mul(noise, tf.mul(signs, each(0.1)))), -1, 1) as tf.Tensor4D;
  });
}
