/** Features of pictures for scorers that compare them: each picture once, a broken one with its reason. */
import type { Picture } from '../io';
import { type Feature, featureCosine } from './feature-cosine';
import type { Scorer } from './scorer';

/** Pictures to vectors of one length, in order. */
export type PictureEmbedder = (pictures: readonly Picture[]) => Promise<Float32Array[]>;

/** A picture, and what it should look like. */
export interface ReferenceSample {
  readonly picture: Picture;
  /** One or more; the mean of the similarities counts. */
  readonly references: readonly Picture[];
}

/** One feature a picture. A picture that stands in the list several times (a reference of a whole group) is embedded once. */
export async function pictureFeatures(embed: PictureEmbedder, pictures: readonly Picture[]): Promise<Feature[]> {
  const whole = [...new Set(pictures)].filter((picture) => fault(picture) === undefined);
  const vectors = whole.length > 0 ? await embed(whole) : [];
  const featureOf = new Map(whole.map((picture, i) => [picture, vectors[i]]));
  return pictures.map(
    (picture) => featureOf.get(picture) ?? { missing: fault(picture) ?? 'the picture has no feature' },
  );
}

/** The same, but a picture that was embedded before is not embedded again, as long as it is kept: for references. */
export function remembering(embed: PictureEmbedder): PictureEmbedder {
  const known = new WeakMap<Picture, Float32Array>();
  return async (pictures) => {
    const fresh = pictures.filter((picture) => !known.has(picture));
    const vectors = fresh.length > 0 ? await embed(fresh) : [];
    fresh.forEach((picture, i) => known.set(picture, vectors[i]));
    return pictures.map((picture) => known.get(picture) as Float32Array);
  };
}

/** Each list's features; all pictures in one go. */
export async function pictureFeatureLists(
  embed: PictureEmbedder,
  lists: readonly (readonly Picture[])[],
): Promise<Feature[][]> {
  const flat = await pictureFeatures(embed, lists.flat());
  let at = 0;
  return lists.map((list) => flat.slice(at, (at += list.length)));
}

/** Mean cosine of the picture's feature with its references', in [-1, 1]; references are embedded once as long as they live. */
export function referenceCosine(name: string, embed: PictureEmbedder): Scorer<ReferenceSample> {
  const references = remembering(embed);
  return featureCosine<ReferenceSample>({
    name,
    of: (samples) => pictureFeatures(embed, samples.map(({ picture }) => picture)), // prettier-ignore
    like: (samples) => pictureFeatureLists(references, samples.map((sample) => sample.references)), // prettier-ignore
  });
}

function fault({ width, height, rgb }: Picture): string | undefined {
  if (width > 0 && height > 0 && rgb.length === width * height * 3) return undefined;
  return `the picture is broken: ${width} x ${height} with ${rgb.length} bytes`;
}
