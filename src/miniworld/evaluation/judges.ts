/** How good the judges are: the scene reader and mini_clip on fresh renderings and on what the tokenizer makes of them. */
import { CONCEPT_VIEWS, HELD_OUT_COMBINATIONS, loadSprites, renderScene, sampleScene, TRAIN_COMBINATIONS } from '..';
import { Rng, tf } from '../../engine';
import { type SceneDetector, scoreScene, type Detections } from '../detector';
import { type MiniClip } from '../../models/scorers/mini-clip';
import type { MagvitTokenizer } from '../../models/showo/magvit';
import { captionFor, isTrueOf, sampleSubject, variantOf, type Caption, type Subject } from '../lessons/captions';
import { conceptImage, throughTokenizer, type TrueImage } from '../lessons/images';
import { pixelsTensor } from '../../sft/train-magvit';
import { type Metric, type Observation, Tally } from './metrics';

/** Images as tensors at once: bounds memory, not the result. */
const CHUNK = 64;

/** Calls `each` with the pixels of every chunk, rendered (`real/`) and through the tokenizer (`tokenizer/`). */
export function forBoth(
  images: readonly Uint8Array[],
  imageTokenizer: MagvitTokenizer | undefined,
  each: (prefix: string, pixels: tf.Tensor4D, from: number) => void,
): void {
  for (let from = 0; from < images.length; from += CHUNK) {
    tf.tidy(() => {
      const pixels = pixelsTensor(images.slice(from, from + CHUNK), 64, 64);
      each('real/', pixels, from);
      if (imageTokenizer) each('tokenizer/', throughTokenizer(imageTokenizer, pixels), from);
    });
  }
}

/** Scores of one reading against everything that is true of the image. */
export function detectionScores(
  reading: Detections,
  { scene, concept }: Pick<TrueImage, 'scene' | 'concept'>,
): Record<string, Observation> {
  const creature = scene.items.find((item) => item.category === 'creature');
  const seen = reading.items.find((item) => item.category === 'creature');
  return {
    ...scoreScene(reading, scene),
    identity: creature ? (seen?.identity ?? null) === (concept?.name ?? null) && seen !== undefined : null,
  };
}

/** The reader on `n` fresh images: a third each of training scenes, held-out scenes and concepts. */
export async function evaluateReader(
  reader: SceneDetector,
  imageTokenizer: MagvitTokenizer | undefined,
  n: number,
  seed: number,
): Promise<Record<string, Metric>> {
  const sprites = await loadSprites();
  const rng = new Rng(seed).split('eval reader');
  const images = Array.from({ length: n }, (_, i): TrueImage => {
    const own = rng.split(i);
    if (i % 3 === 2)
      return conceptImage(own, sprites, own.int(CONCEPT_VIEWS), [...TRAIN_COMBINATIONS, ...HELD_OUT_COMBINATIONS]);
    const scene = sampleScene(own, i % 3 ? 'heldout' : 'train');
    return { scene, pixels: renderScene(scene, sprites) };
  });
  const tally = new Tally();
  forBoth(images.map((image) => image.pixels), imageTokenizer, (prefix, pixels, from) => {
    reader.read(pixels).forEach((reading, i) => tally.addAll(prefix, detectionScores(reading, images[from + i])));
  }); // prettier-ignore
  return tally.metrics(rng);
}

/** An image's scene with its caption, and a caption of a scene that differs in one thing: false of the image. */
interface Choice {
  readonly subject: Subject;
  readonly right: Caption;
  readonly wrong: Caption;
  /** What differs. */
  readonly kind: string;
}

/**
 * mini_clip on `n` fresh images of split `train`: how often the true caption is
 * nearer than one that differs in one thing (`choice`, and by what differs), and how often it is the nearest of 64
 * (`retrieval`).
 */
export async function evaluateClip(
  clip: MiniClip,
  imageTokenizer: MagvitTokenizer | undefined,
  n: number,
  seed: number,
): Promise<Record<string, Metric>> {
  const sprites = await loadSprites();
  const rng = new Rng(seed).split('eval clip');
  const choices: Choice[] = [];
  for (let i = 0; choices.length < n; i++) {
    const own = rng.split(i);
    const subject = sampleSubject(own, sprites);
    const other = variantOf(subject, own);
    const [right, wrong] = [captionFor(subject, own), captionFor(other, own)];
    if (!isTrueOf(wrong, subject)) choices.push({ subject, right, wrong, kind: difference(subject, other) });
  }
  const tally = new Tally();
  forBoth(choices.map(({ subject }) => renderScene(subject.scene, sprites)), imageTokenizer, (prefix, pixels, from) => {
    const part = choices.slice(from, from + pixels.shape[0]);
    const images = clip.imageFeatures(pixels);
    const cosines = (captions: readonly Caption[]) =>
      tf.matMul(images, clip.textFeatures(captions.map((c) => clip.text.encode(c.text))), false, true).arraySync() as number[][]; // prettier-ignore
    const [right, wrong] = [cosines(part.map((c) => c.right)), cosines(part.map((c) => c.wrong))]; // prettier-ignore
    part.forEach(({ subject, kind }, i) => {
      tally.add(`${prefix}choice`, right[i][i] > wrong[i][i]);
      tally.add(`${prefix}choice/${kind}`, right[i][i] > wrong[i][i]);
      if (part.length === CHUNK) tally.add(`${prefix}retrieval`, right[i].every((cosine, j) => j === i || cosine < right[i][i] || isTrueOf(part[j].right, subject))); // prettier-ignore
    });
  }); // prettier-ignore
  return tally.metrics(rng);
}

function difference({ scene: a }: Subject, { scene: b }: Subject): string {
  if (a.ground !== b.ground) return 'ground';
  if (a.items.length !== b.items.length) return 'count';
  if (a.items.some((item, i) => item.category === 'creature' && item.style !== b.items[i].style)) return 'who';
  return a.items.some((item, i) => item.object !== b.items[i].object) ? 'object' : 'color';
}
