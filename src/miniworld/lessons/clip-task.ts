/** Teaching mini_clip: which caption belongs to which image, among others that differ in one word. */
import { renderScene } from '../render';
import { loadSprites, type SpriteSheet } from '../sprites';
import { IMAGE_SIZE } from '../world';
import { crossEntropy, type Rng, tf } from '../../engine';
import { MiniClip } from '../../models/scorers/mini-clip';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { captionFor, isTrueOf, sampleDepictedScene, type DepictedScene, variantOf } from './captions';
import { augmented, type BinaryTokenizer, reconstructions, shifted } from './images';

/** Images and captions; caption i belongs to image i. */
export interface ClipBatch {
  /** `[batch, 64, 64, 3]` in [-1, 1] */
  readonly pixels: tf.Tensor4D;
  /** `[batch, tokens]` int32 */
  readonly ids: tf.Tensor2D;
  /** `[batch, tokens]` */
  readonly present: tf.Tensor2D;
  /** `[batch, batch]`: -1e9 where caption j is true of image i though not made for it, else 0 */
  readonly blocked: tf.Tensor2D;
}

export interface ClipOptions {
  /** Groups a batch. */
  readonly groups: number;
  /** Images a group. */
  readonly variants: number;
  /** How many groups go through the image tokenizer, once, before training. */
  readonly pool: number;
}

const BLOCKED = -1e9;
/** A published CLIP's bound on exp(logit_scale). */
const MAX_SCALE = 100;

/** Scenes that differ in one thing, and their images as RGB bytes. */
export interface ClipGroup {
  readonly depictedScenes: readonly DepictedScene[];
  readonly images: readonly Uint8Array[];
}

/** One scene at random and `variants - 1` others that each differ from it in one thing. */
export function clipGroup(sprites: SpriteSheet, variants: number, rng: Rng): ClipGroup {
  const base = sampleDepictedScene(rng, sprites);
  const depictedScenes = [base, ...Array.from({ length: variants - 1 }, () => variantOf(base, rng))];
  return { depictedScenes, images: depictedScenes.map(({ scene }) => renderScene(scene, sprites)) };
}

/** Groups whose images went through the tokenizer: whole groups, so that its traces tell nothing within one. */
export function reconstructedGroups(
  sprites: SpriteSheet,
  imageTokenizer: BinaryTokenizer,
  count: number,
  variants: number,
  rng: Rng,
): ClipGroup[] {
  const groups = Array.from({ length: count }, (_, g) => clipGroup(sprites, variants, rng.split(g)));
  const rendered = groups.flatMap((group) => group.images);
  const back = reconstructions(imageTokenizer, rendered, rng.split('bits'));
  return groups.map((group, g) => ({ ...group, images: back.slice(g * variants, (g + 1) * variants) }));
}

/** A batch of groups, half of them of `pool` (where there is one), half rendered anew; captions are always new. */
export function clipBatch(
  clip: MiniClip,
  sprites: SpriteSheet,
  pool: readonly ClipGroup[],
  options: ClipOptions,
  rng: Rng,
): ClipBatch {
  const groups = Array.from({ length: options.groups }, (_, g) => {
    const own = rng.split(g);
    return g % 2 && pool.length > 0 ? own.pick(pool) : clipGroup(sprites, options.variants, own);
  });
  const depictedScenes = groups.flatMap((group) => group.depictedScenes);
  const captions = depictedScenes.map((depicted, i) => captionFor(depicted, rng.split(`caption ${i}`)));
  const moves = rng.split('moves');
  const move = (pixels: Uint8Array) =>
    moves.uniform() < 0.5 ? pixels : shifted(pixels, moves.int(5) - 2, moves.int(5) - 2);
  const images = groups.flatMap((group) => group.images).map(move);
  const clean = pixelsTensor(images, IMAGE_SIZE, IMAGE_SIZE);
  const pixels = augmented(clean, rng.split('augment'));
  clean.dispose();
  const n = depictedScenes.length;
  const blocked = new Float32Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) if (i !== j && isTrueOf(captions[j], depictedScenes[i])) blocked[i * n + j] = BLOCKED;
  const texts = captions.map((caption) => clip.text.encode(caption.text));
  return {
    pixels,
    ...clip.textBatch(texts),
    blocked: tf.tensor2d(blocked, [n, n]),
  };
}

/** Symmetric InfoNCE (Radford et al. 2021, figure 3); true captions of other images do not count as wrong. */
export function clipLoss(clip: MiniClip, batch: ClipBatch): { loss: tf.Scalar; metrics: Record<string, tf.Scalar> } {
  const { net } = clip;
  const images = net.imageEmbeddings(batch.pixels);
  const texts = net.textEmbeddings(batch.ids, batch.present);
  const scale = tf.minimum(tf.exp(net.logit_scale.value), MAX_SCALE);
  const logits: tf.Tensor2D = tf.add(tf.mul(tf.matMul(images, texts, false, true), scale), batch.blocked);
  const own = tf.range(0, logits.shape[0], 1, 'int32');
  const toText = crossEntropy(logits, own);
  const toImage = crossEntropy(tf.transpose(logits), own);
  const accuracy: tf.Scalar = tf.mean(tf.cast(tf.equal(tf.argMax(logits, 1), own), 'float32'));
  return {
    loss: tf.div(tf.add(toText, toImage), 2),
    metrics: { accuracy, scale: tf.sum(scale) },
  };
}

/** A fresh mini_clip and its task. @param imageTokenizer without it no image goes through the tokenizer */
export async function clipTraining(imageTokenizer: BinaryTokenizer | undefined, options: ClipOptions, rng: Rng) {
  const sprites = await loadSprites();
  const clip = MiniClip.random(rng.split('mini-clip'));
  const pool = imageTokenizer
    ? reconstructedGroups(sprites, imageTokenizer, options.pool, options.variants, rng.split('pool'))
    : [];
  const task: SupervisedTask<ClipBatch> = {
    name: 'mini-clip',
    variables: clip.parameters.variables,
    batch: (_step, own) => clipBatch(clip, sprites, pool, options, own),
    loss: (batch) => clipLoss(clip, batch),
  };
  return { clip, task };
}
