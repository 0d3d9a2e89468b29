/** A sheet of true images (upper of each pair of rows) and generated ones (lower). */
import { type Image, imageSheet, savePng } from '../../io';
import { IMAGE_SIZE } from '../world';
import type { Sample } from './mini-world';

const COLUMNS = 8;

const imageOf = (rgb: Uint8Array): Image => ({ width: IMAGE_SIZE, height: IMAGE_SIZE, rgb });

/** Saves the sheet as PNG, eight images a row. */
export async function saveSheet(file: string, samples: readonly Pick<Sample, 'real' | 'generated'>[]): Promise<void> {
  const blank = imageOf(new Uint8Array(IMAGE_SIZE * IMAGE_SIZE * 3).fill(255));
  const rows = Array.from({ length: Math.ceil(samples.length / COLUMNS) }, (_, row) => {
    const own = samples.slice(row * COLUMNS, (row + 1) * COLUMNS);
    const filled = (images: Image[]) => [...images, ...Array<Image>(COLUMNS - own.length).fill(blank)];
    return [...filled(own.map(({ real }) => imageOf(real))), ...filled(own.map(({ generated }) => imageOf(generated)))];
  });
  await savePng(file, imageSheet(rows.flat(), COLUMNS));
}
