/** What a finished run leaves in a folder: numbers, pictures before and after, the reward plot. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { type Picture, savePng } from '../../io';
import type { HeldOutResult } from './evaluate';
import type { SyncLab, SyncResult } from './lab';
import type { SyncStep } from './session';

/** Pictures side by side, `columns` a row. @throws RangeError for no pictures or pictures of different sizes */
function pictureSheet(pictures: readonly Picture[], columns: number): Picture {
  if (pictures.length === 0) throw new RangeError('a sheet needs at least one picture');
  const { width, height } = pictures[0];
  const rows = Math.ceil(pictures.length / columns);
  const sheet = {
    width: width * columns,
    height: height * rows,
    rgb: new Uint8Array(width * columns * height * rows * 3).fill(255),
  };
  pictures.forEach((picture, i) => {
    if (picture.width !== width || picture.height !== height)
      throw new RangeError(`picture ${i} is ${picture.width} x ${picture.height}, the first ${width} x ${height}`);
    const left = (i % columns) * width;
    const top = Math.floor(i / columns) * height;
    for (let y = 0; y < height; y++) {
      sheet.rgb.set(picture.rgb.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * sheet.width + left) * 3);
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
  const sheets: Record<string, Picture> = {
    'references.png': pictureSheet(lab.references.map((r) => r.picture), 4), // prettier-ignore
    'before.png': pictureSheet(before.slice(0, 24).map((r) => r.picture), 6), // prettier-ignore
    'after.png': pictureSheet(after.slice(0, 24).map((r) => r.picture), 6), // prettier-ignore
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
