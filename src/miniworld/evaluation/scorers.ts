/** How good the scorers are: the scene detector and mini_clip on fresh renderings and on what the tokenizer makes of them. */
import { CONCEPT_VIEWS } from '../concepts';
import { renderScene } from '../render';
import { sampleScene } from '../scene';
import { loadSprites } from '../sprites';
import { HELD_OUT_COMBINATIONS, TRAIN_COMBINATIONS } from '../world';
import { Rng, tf } from '../../engine';
import { type SceneDetector, scoreScene, type Detections } from '../detector';
import { type MiniClip } from '../../models/scorers/mini-clip';
import {
  captionFor,
  isTrueOf,
  sampleDepictedScene,
  variantOf,
  type Caption,
  type DepictedScene,
} from '../lessons/captions';
import { type BinaryTokenizer, conceptImage, throughTokenizer, type TrueImage } from '../lessons/images';
import { pixelsTensor } from '../../io';
import { type Metric, type Observation, Tally } from './metrics';

/** Images as tensors at once: bounds memory, not the result. */
const CHUNK = 64;

/** Calls `each` with the pixels of every chunk, rendered (`real/`) and through the tokenizer (`tokenizer/`). */
export function forBoth(
  images: readonly Uint8Array[],
  imageTokenizer: BinaryTokenizer | undefined,
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
  detections: Detections,
  { scene, concept }: Pick<TrueImage, 'scene' | 'concept'>,
): Record<string, Observation> {
  const subject = scene.items.find((item) => item.category === 'subject');
  const seen = detections.items.find((item) => item.category === 'subject');
  return {
    ...scoreScene(detections, scene),
    identity: subject ? (seen?.identity ?? null) === (concept?.name ?? null) && seen !== undefined : null,
  };
}

/** The detector on `n` fresh images: a third each of training scenes, held-out scenes and concepts. */
export async function evaluateDetector(
  detector: SceneDetector,
  imageTokenizer: BinaryTokenizer | undefined,
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
  const shown = images.map((image) => image.pixels);
  forBoth(shown, imageTokenizer, (prefix, pixels, from) => {
    for (const [i, detections] of detector.detect(pixels).entries())
      tally.addAll(prefix, detectionScores(detections, images[from + i]));
  });
  return tally.metrics(rng);
}

/** An image's scene with its caption, and a caption of a scene that differs in one thing: false of the image. */
interface Choice {
  readonly depicted: DepictedScene;
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
  imageTokenizer: BinaryTokenizer | undefined,
  n: number,
  seed: number,
): Promise<Record<string, Metric>> {
  const sprites = await loadSprites();
  const rng = new Rng(seed).split('eval clip');
  const choices: Choice[] = [];
  for (let i = 0; choices.length < n; i++) {
    const own = rng.split(i);
    const depicted = sampleDepictedScene(own, sprites);
    const other = variantOf(depicted, own);
    const [right, wrong] = [captionFor(depicted, own), captionFor(other, own)];
    if (!isTrueOf(wrong, depicted)) choices.push({ depicted, right, wrong, kind: difference(depicted, other) });
  }
  const tally = new Tally();
  const shown = choices.map(({ depicted }) => renderScene(depicted.scene, sprites));
  forBoth(shown, imageTokenizer, (prefix, pixels, from) => {
    const part = choices.slice(from, from + pixels.shape[0]);
    const images = clip.imageFeatures(pixels);
    const cosines = (captions: readonly Caption[]) => {
      const texts = clip.textFeatures(captions.map((caption) => clip.text.encode(caption.text)));
      return tf.matMul(images, texts, false, true).arraySync() as number[][];
    };
    const [right, wrong] = [cosines(part.map((c) => c.right)), cosines(part.map((c) => c.wrong))];
    part.forEach(({ depicted, kind }, i) => {
      const nearer = (cosine: number, j: number) =>
        j === i || cosine < right[i][i] || isTrueOf(part[j].right, depicted);
      tally.add(`${prefix}choice`, right[i][i] > wrong[i][i]);
      tally.add(`${prefix}choice/${kind}`, right[i][i] > wrong[i][i]);
      if (part.length === CHUNK) tally.add(`${prefix}retrieval`, right[i].every(nearer));
    });
  });
  return tally.metrics(rng);
}

function difference({ scene: a }: DepictedScene, { scene: b }: DepictedScene): string {
  if (a.background !== b.background) return 'background';
  if (a.items.length !== b.items.length) return 'count';
  if (a.items.some((item, i) => item.category === 'subject' && item.style !== b.items[i].style)) return 'who';
  return a.items.some((item, i) => item.object !== b.items[i].object) ? 'object' : 'color';
}
