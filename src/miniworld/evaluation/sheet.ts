/** A sheet of true images (upper of each pair of rows) and generated ones (lower). */
import { IMAGE_SIZE } from '../world';
import { savePng } from '../../io';
import type { Sample } from './mini-world';

const COLUMNS = 8;

/** Saves the sheet as PNG, eight images a row. */
export async function saveSheet(file: string, samples: readonly Pick<Sample, 'real' | 'generated'>[]): Promise<void> {
  const rows = 2 * Math.ceil(samples.length / COLUMNS);
  const width = COLUMNS * IMAGE_SIZE;
  const rgb = new Uint8Array(rows * IMAGE_SIZE * width * 3).fill(255);
  samples.forEach((sample, i) => {
    const column = i % COLUMNS;
    [sample.real, sample.generated].forEach((pixels, which) => {
      const row = 2 * Math.floor(i / COLUMNS) + which;
      for (let y = 0; y < IMAGE_SIZE; y++) {
        const line = pixels.subarray(y * IMAGE_SIZE * 3, (y + 1) * IMAGE_SIZE * 3);
        rgb.set(line, ((row * IMAGE_SIZE + y) * width + column * IMAGE_SIZE) * 3);
      }
    });
  });
  await savePng(file, { width, height: rows * IMAGE_SIZE, rgb });
}
