/**
 * Sync-GRPO's rewards by scorers small enough for two CPU cores, each under its own name: TIER by USE-lite, BER (and the
 * early score of DSOG) by mini_clip, DER by mini_figure or, as an ablation, by MobileNet, FER by mini_face. The last
 * three look at figures: images of the mini world have them in few places.
 */
import type { SubjectKind } from '../data/personalization';
import { tf } from '../engine';
import { type Image, imagesToTensor } from '../io';
import { MiniClip } from '../models/scorers/mini-clip';
import { MiniLooks } from '../models/scorers/mini-looks';
import { MobileNet } from '../models/scorers/mobilenet';
import { UseLite } from '../models/scorers/use-lite';
import { berReward, defineReward, type Reward, scoreImages, type SubjectRewards, tierReward } from '../rewards';
import { cosine } from '../rewards/feature-cosine';
import { figureAttributes } from './lessons/figure-task';
import { SIZES, SUBJECT_ROW } from './scene';
import { IMAGE_SIZE } from './world';

/** Left edges of the places where a figure can stand, pixels. */
const FIGURE_COLUMNS = [0, 8, 24] as const;

/** @param der `mobilenet` is an ablation: taught on photographs, it hardly tells drawn figures apart */
export async function miniRewards(
  kind: SubjectKind,
  der: 'mini_figure' | 'mobilenet' = 'mini_figure',
): Promise<SubjectRewards> {
  const figure = await MiniLooks.load('mini-figure');
  const attributes = figureAttributes(kind);
  const byFigure = (figures: tf.Tensor4D) => Promise.resolve(figure.embed(figures, attributes));
  const face = kind === 'person' ? await MiniLooks.load('mini-face') : undefined;
  const clip = await MiniClip.load();
  return {
    tier: tierReward(await UseLite.load()),
    ber: berReward({ name: 'mini_clip', cosine: (images, texts) => Promise.resolve(textCosines(clip, images, texts)) }),
    der:
      der === 'mobilenet'
        ? figureSimilarity('der_mobilenet', figure, await mobileNetFeatures())
        : figureSimilarity('der_mini_figure', figure, byFigure),
    fer: face && figureSimilarity('fer_mini_face', figure, (figures) => Promise.resolve(face.embed(figures))),
  };
}

/**
 * MM-R1's rewards on the mini world. `mini_figure` stands in for 1 - DreamSim; subjects are animals or objects alike.
 * `mini_clip` stands in for PickScore.
 */
export async function miniXcotRewards(): Promise<{ readonly similarity: Reward; readonly text: Reward }> {
  const figure = await MiniLooks.load('mini-figure');
  const clip = await MiniClip.load();
  const attributes = figureAttributes('animal'); // the same for objects
  return {
    similarity: figureSimilarity('mini_figure', figure, (figures) =>
      Promise.resolve(figure.embed(figures, attributes)),
    ),
    text: defineReward('mini_clip', [-1, 1], (samples) =>
      scoreImages(samples, (seen) => {
        const texts = seen.map(({ text }) => text);
        const cosines = textCosines(
          clip,
          seen.map(({ image }) => image),
          texts,
        );
        return Promise.resolve(cosines.map((value) => ({ value })));
      }),
    ),
  };
}

/** Cosines of images and captions, pair by pair. */
export function textCosines(clip: MiniClip, images: readonly Image[], captions: readonly string[]): number[] {
  return tf.tidy(() => {
    const words = captions.map((caption) => clip.text.encode(caption).slice(0, clip.config.maxTokens));
    const similarity = tf.mul(clip.imageFeatures(pixelsOf(images)), clip.textFeatures(words));
    return Array.from(tf.sum(similarity, 1).dataSync());
  });
}

type Embed = (figures: tf.Tensor4D) => Promise<Float32Array[]>;

/**
 * Mean cosine of an image's figure with those of the references, in [-1, 1]. Of the places where a figure can stand the
 * most alike counts, so that neither background nor neighbor say anything about who it is; in a reference, the one that
 * `locator` is surest of.
 */
function figureSimilarity(name: string, locator: MiniLooks, embed: Embed): Reward {
  const known = new WeakMap<Image, Float32Array>();
  return defineReward(name, [-1, 1], (samples) =>
    scoreImages(samples, async (seen) => {
      const fresh = [...new Set(seen.flatMap(({ references }) => references))].filter((image) => !known.has(image));
      const place = fresh.length > 0 ? locations(locator, fresh) : [];
      (await embedded(fresh, embed)).forEach((places, i) => known.set(fresh[i], places[place[i]]));
      const own = await embedded(
        seen.map(({ image }) => image),
        embed,
      );
      return seen.map(({ references }, i) => {
        const others = references.flatMap((image) => known.get(image) ?? []);
        if (others.length === 0) return { value: NaN, reason: 'there are no reference images' };
        const means = own[i].map((figure) => others.reduce((sum, other) => sum + cosine(figure, other), 0));
        return { value: Math.max(...means) / others.length };
      });
    }),
  );
}

/** Each image's features, place by place. */
async function embedded(images: readonly Image[], embed: Embed): Promise<Float32Array[][]> {
  if (images.length === 0) return [];
  const figures = figuresOf(images);
  try {
    const features = await embed(figures);
    const places = FIGURE_COLUMNS.length;
    return images.map((_, i) => features.slice(i * places, (i + 1) * places));
  } finally {
    figures.dispose();
  }
}

/** In which place each image has its figure. */
function locations(locator: MiniLooks, images: readonly Image[]): number[] {
  return tf.tidy(() => {
    const surest = tf.max(tf.softmax(locator.logits(figuresOf(images)).who), 1);
    return Array.from(tf.argMax(tf.reshape(surest, [images.length, FIGURE_COLUMNS.length]), 1).dataSync());
  });
}

/** What stands in each place, `[images * places, 40, 40, 3]`. */
function figuresOf(images: readonly Image[]): tf.Tensor4D {
  return tf.tidy(() => {
    const pixels = pixelsOf(images);
    const cut = (x: number) => tf.slice(pixels, [0, SUBJECT_ROW, x, 0], [-1, SIZES.subject, SIZES.subject, 3]);
    const places = tf.stack(FIGURE_COLUMNS.map(cut), 1);
    return tf.reshape<tf.Rank.R4>(places, [-1, SIZES.subject, SIZES.subject, 3]);
  });
}

/** `[images, 64, 64, 3]` in [-1, 1]. */
function pixelsOf(images: readonly Image[]): tf.Tensor4D {
  const pixels = imagesToTensor(images);
  return pixels.shape[1] === IMAGE_SIZE && pixels.shape[2] === IMAGE_SIZE
    ? pixels
    : tf.image.resizeBilinear(pixels, [IMAGE_SIZE, IMAGE_SIZE]);
}

async function mobileNetFeatures(): Promise<Embed> {
  const mobilenet = await MobileNet.load();
  return async (figures) => {
    const large = tf.image.resizeBilinear(figures, [IMAGE_SIZE, IMAGE_SIZE]);
    try {
      return await mobilenet.embed(large);
    } finally {
      large.dispose();
    }
  };
}
