/** A sheet of true images (upper of each pair of rows) and generated ones (lower). */
import { PICTURE_SIZE } from '..';
import { savePng } from '../../io';
import type { Sample } from './mini-world';

const COLUMNS = 8;

/** Saves the sheet as PNG, eight images a row. */
export async function saveSheet(file: string, samples: readonly Pick<Sample, 'real' | 'generated'>[]): Promise<void> {
  const rows = 2 * Math.ceil(samples.length / COLUMNS);
  const width = COLUMNS * PICTURE_SIZE;
  const rgb = new Uint8Array(rows * PICTURE_SIZE * width * 3).fill(255);
  samples.forEach((sample, i) => {
    const column = i % COLUMNS;
    [sample.real, sample.generated].forEach((pixels, which) => {
      const row = 2 * Math.floor(i / COLUMNS) + which;
      for (let y = 0; y < PICTURE_SIZE; y++) {
        const line = pixels.subarray(y * PICTURE_SIZE * 3, (y + 1) * PICTURE_SIZE * 3);
        rgb.set(line, ((row * PICTURE_SIZE + y) * width + column * PICTURE_SIZE) * 3);
      }
    });
  });
  await savePng(file, { width, height: rows * PICTURE_SIZE, rgb });
}
