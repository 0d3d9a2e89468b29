/** The scene detector as a judge of images of any size: what published suites ask of a detector, under its own name. */
import type { ColorNamer, DetectedObject, ObjectDetector } from '../data/judges';
import type { suites } from '../eval';
import { type Image, imagesToTensor, resampleImage } from '../io';
import { type DetectedItem, type Detections, SceneDetector } from './detector';
import { CATEGORIES } from './detector/labels';
import { SIZES } from './scene';
import { COLORS, IMAGE_SIZE, OBJECTS } from './world';

/** Its name in tables. */
export const MINI_DETECTOR = 'mini_detector';

/** What it reads from images; those of another size than the mini world's are resampled first. */
export async function readImages(detector: SceneDetector, images: readonly Image[]): Promise<Detections[]> {
  const fitting = images.map((image) =>
    image.width === IMAGE_SIZE && image.height === IMAGE_SIZE ? image : resampleImage(image, IMAGE_SIZE, IMAGE_SIZE),
  );
  const pixels = imagesToTensor(fitting);
  try {
    return await Promise.resolve(detector.detect(pixels));
  } finally {
    pixels.dispose();
  }
}

const known: readonly string[] = CATEGORIES;

/** It tells centers, not sizes: boxes are those of figures in a pair. */
export function miniObjectDetector(detector: SceneDetector): ObjectDetector & ColorNamer {
  const seen = new WeakMap<Image, Promise<Detections>>();
  const read = (image: Image) => {
    const found = seen.get(image) ?? readImages(detector, [image]).then(([one]) => one);
    seen.set(image, found);
    return found;
  };
  return {
    name: MINI_DETECTOR,
    knows: (label) => known.includes(label),
    detect: (images) =>
      Promise.all(
        images.map(async (image) =>
          (await read(image)).items.map((item) => boxed(item, image)).sort((a, b) => b.score - a.score),
        ),
      ),
    // Of animals and people it tells who they are, not their color.
    tells: (color, label) =>
      (COLORS as readonly string[]).includes(color) && (OBJECTS as readonly string[]).includes(label),
    async color(image, { label, box }) {
      const { items } = await read(image);
      const same = items.find((item) => item.object === label && boxed(item, image).box.join() === box.join());
      return same?.color ?? 'none';
    },
  };
}

function boxed({ object, x, y, confidence }: DetectedItem, { width, height }: Image): DetectedObject {
  const half = SIZES.pair / 2;
  const [sx, sy] = [width / IMAGE_SIZE, height / IMAGE_SIZE];
  return {
    label: object,
    score: confidence.object,
    box: [(x - half) * sx, (y - half) * sy, (x + half) * sx, (y + half) * sy],
  };
}

/** Stand-ins that `--stand-ins` takes beside those of the published suites. */
export const MINI_STAND_INS: Readonly<Record<string, suites.StandIn>> = {
  'mini-detector': {
    about:
      "the mini world's detector, for the detector and the colors of GenEval; it knows the mini world's things alone",
    load: async (keep) => {
      const judge = miniObjectDetector(keep(await SceneDetector.load()));
      return { detector: judge, colors: judge };
    },
  },
};
