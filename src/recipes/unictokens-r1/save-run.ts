/** What a finished run leaves in a folder: numbers, images before and after, the reward plot. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { type Image, savePng } from '../../io';
import type { HeldOutResult } from './evaluate';
import type { SyncLab, SyncResult } from './lab';
import type { SyncStep } from './session';

/** Images side by side, `columns` a row. @throws RangeError for no images or images of different sizes */
function imageSheet(images: readonly Image[], columns: number): Image {
  if (images.length === 0) throw new RangeError('a sheet needs at least one image');
  const { width, height } = images[0];
  const rows = Math.ceil(images.length / columns);
  const sheet = {
    width: width * columns,
    height: height * rows,
    rgb: new Uint8Array(width * columns * height * rows * 3).fill(255),
  };
  images.forEach((image, i) => {
    if (image.width !== width || image.height !== height)
      throw new RangeError(`image ${i} is ${image.width} x ${image.height}, the first ${width} x ${height}`);
    const left = (i % columns) * width;
    const top = Math.floor(i / columns) * height;
    for (let y = 0; y < height; y++) {
      sheet.rgb.set(image.rgb.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * sheet.width + left) * 3);
    }
  });
  return sheet;
}

/**
 * Writes `result.json`, `steps.jsonl` (metrics of every step), `rewards.svg` (their plot, when one is given as SVG),
 * `references.png`, `before.png` and `after.png`; each file
 * is whole or not there. @returns the files
 */
export async function saveSyncRun(
  folder: string,
  lab: SyncLab,
  result: SyncResult,
  before: readonly HeldOutResult[],
  after: readonly HeldOutResult[],
  steps: readonly SyncStep[],
  plot?: string,
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const sheets: Record<string, Image> = {
    'references.png': imageSheet(lab.references.map((r) => r.image), 4), // prettier-ignore
    'before.png': imageSheet(before.slice(0, 24).map((r) => r.image), 6), // prettier-ignore
    'after.png': imageSheet(after.slice(0, 24).map((r) => r.image), 6), // prettier-ignore
  };
  const files: string[] = [];
  for (const [name, sheet] of Object.entries(sheets)) {
    await savePng(path.join(folder, name), sheet);
    files.push(name);
  }
  const lines = steps.map(({ step, metrics, timings, dsog }) =>
    JSON.stringify({
      step,
      ...metrics,
      ...timings,
      threshold: dsog?.threshold,
      candidates: dsog?.candidates,
      filled: dsog?.filled,
    }),
  );
  await writeFileAtomic(path.join(folder, 'steps.jsonl'), `${lines.join('\n')}\n`);
  if (plot !== undefined) await writeFileAtomic(path.join(folder, 'rewards.svg'), plot);
  // Last, so that a result is there only when all of it is.
  await writeFileAtomic(path.join(folder, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  const plots = plot === undefined ? [] : ['rewards.svg'];
  return [...files, 'steps.jsonl', ...plots, 'result.json'].map((name) => path.join(folder, name));
}
