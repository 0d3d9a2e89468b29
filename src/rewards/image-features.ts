/** Features of images for scorers that compare them: each image once, a broken one with its reason. */
import type { Image } from '../io';
import { type Feature, featureCosines } from './feature-cosine';
import { defineReward, type Reward } from './reward';
import { scoreImages } from './seen';

/** Images to vectors of one length, in order. */
export type ImageEmbedder = (images: readonly Image[]) => Promise<Float32Array[]>;

/** One feature an image. An image that stands in the list several times (a reference of a whole group) is embedded once. */
export async function imageFeatures(embed: ImageEmbedder, images: readonly Image[]): Promise<Feature[]> {
  const whole = [...new Set(images)].filter((image) => fault(image) === undefined);
  const vectors = whole.length > 0 ? await embed(whole) : [];
  const featureOf = new Map(whole.map((image, i) => [image, vectors[i]]));
  return images.map((image) => featureOf.get(image) ?? { missing: fault(image) ?? 'the image has no feature' });
}

/** The same, but an image that was embedded before is not embedded again, as long as it is kept: for references. */
export function memoize(embed: ImageEmbedder): ImageEmbedder {
  const known = new WeakMap<Image, Float32Array>();
  return async (images) => {
    const fresh = images.filter((image) => !known.has(image));
    const vectors = fresh.length > 0 ? await embed(fresh) : [];
    fresh.forEach((image, i) => known.set(image, vectors[i]));
    return images.map((image) => known.get(image) as Float32Array);
  };
}

/** Each list's features; all images in one go. */
export async function imageFeatureLists(
  embed: ImageEmbedder,
  lists: readonly (readonly Image[])[],
): Promise<Feature[][]> {
  const flat = await imageFeatures(embed, lists.flat());
  let at = 0;
  return lists.map((list) => flat.slice(at, (at += list.length)));
}

/** Mean cosine of the image's feature with its references', in [-1, 1]; references are embedded once as long as they live. */
export function referenceCosine(name: string, embed: ImageEmbedder): Reward {
  const ofReferences = memoize(embed);
  return defineReward(name, [-1, 1], (samples) =>
    scoreImages(samples, async (seen) => {
      const images = seen.map(({ image }) => image);
      const references = seen.map((sample) => sample.references);
      const of = await imageFeatures(embed, images);
      return featureCosines({ of, like: await imageFeatureLists(ofReferences, references) });
    }),
  );
}

function fault({ width, height, rgb }: Image): string | undefined {
  if (width > 0 && height > 0 && rgb.length === width * height * 3) return undefined;
  return `the image is broken: ${width} x ${height} with ${rgb.length} bytes`;
}
