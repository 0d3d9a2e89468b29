/** How well features tell subjects apart: DreamBench's photographs, each looked up among all the others. */
import { readDreamBench } from '../../data/dreambench';
import { loadItemImage } from '../../data/item-images';
import { collectItems } from '../../data/items';
import { imagesToTensor } from '../../io';
import { centring, MobileNet } from '../../models/scorers/mobilenet';
import { cosine } from '../metrics';

export interface NearestSubjects {
  /** Photographs whose nearest other one is of the same subject, 0 to 1. */
  readonly share: number;
  readonly images: number;
  readonly subjects: number;
  readonly features: string;
}

/**
 * Share of vectors whose nearest other one (cosine) has the same label.
 * @throws RangeError for fewer than two, or another number of labels
 */
export function nearestNeighborShare(features: readonly ArrayLike<number>[], labels: readonly string[]): number {
  if (features.length < 2 || labels.length !== features.length)
    throw new RangeError(
      `there are ${features.length} features and ${labels.length} labels; at least two of each are needed`,
    );
  const hits = features.filter((feature, i) => {
    let best = -1;
    let nearest = -Infinity;
    for (const [j, other] of features.entries()) {
      if (j === i) continue;
      const likeness = cosine(feature, other);
      if (likeness > nearest) [nearest, best] = [likeness, j];
    }
    return labels[best] === labels[i];
  });
  return hits.length / features.length;
}

/** MobileNet's features, their mean over all photographs taken off. @param folder `dataset` of DreamBench */
export async function nearestSubjects(folder: string): Promise<NearestSubjects> {
  const { items } = await collectItems(readDreamBench(folder));
  const net = await MobileNet.load();
  const features: Float32Array[] = [];
  const labels: string[] = [];
  try {
    for (const { id, images } of items)
      for (const file of images) {
        const pixels = imagesToTensor([await loadItemImage(file)]);
        try {
          features.push(...(await net.embed(pixels)));
        } finally {
          pixels.dispose();
        }
        labels.push(id);
      }
  } finally {
    net.dispose();
  }
  const share = nearestNeighborShare(features.map(centring(features)), labels);
  return { share, images: features.length, subjects: items.length, features: net.name };
}
